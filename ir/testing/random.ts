import { dtypes, isFloat, type DType } from '../dtypes/index.ts';
import { randomSource } from '../random_source.ts';
import { elementCount, tensorOf, type Tensor } from '../tensor.ts';

/** A seed made of a name, so that a weight has the same values wherever it appears. */
export function seedOf(name: string): number {
  return [...name].reduce((hash, c) => Math.imul(hash ^ c.codePointAt(0)!, 0x01000193), 0x811c9dc5);
}

/** Floats in [-1, 1), integers in [0, 4): small enough to be indices of any table. */
export function randomTensor(dtype: DType, shape: readonly number[], seed: number): Tensor {
  const next = randomSource(seed);
  const values = Array.from({ length: elementCount(shape) }, () =>
    isFloat(dtype) ? 2 * next() - 1 : Math.floor(next() * Math.min(4, dtypes[dtype].max + 1)),
  );
  return tensorOf(dtype, shape, values);
}

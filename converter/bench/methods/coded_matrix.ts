import type { DType } from '../../../ir/dtypes/index.ts';
import type { QuantizedMatrix } from '../../../ir/quantize/lazy_matrix.ts';
import { tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { computedData } from '../../../ir/views/compute.ts';

/** Affine codes of 4 bits, row by row in blocks; what a row lacks to whole blocks means 0. */
export interface Codes {
  /** [N, blocks, block] */
  readonly codes: Uint8Array;
  /** [N, blocks], values of f16. */
  readonly scales: Float32Array;
  /** [N, blocks] */
  readonly zeros: Uint8Array;
}

/** Codes of a matrix [N, K] that are made at once, when they are first read. */
export function codedMatrix(data: TensorData, block: number, make: () => Promise<Codes>): QuantizedMatrix {
  const [rows, columns] = data.shape as [number, number];
  const blocks = Math.ceil(columns / block);
  let made: Promise<Codes> | undefined;
  const part = (dtype: DType, shape: readonly number[], name: keyof Codes) =>
    computedData(dtype, shape, async () => tensorOf(dtype, shape, (await (made ??= make()))[name]), data.from);
  return {
    q: part('u4', [rows, blocks, block], 'codes'),
    scales: part('f32', [rows, blocks], 'scales'),
    zeros: part('u4', [rows, blocks], 'zeros'),
  };
}

/** The largest code of 4 bits. */
export const LEVELS = 15;

/** The code of a weight in a block of a scale and a zero point. */
export function codeOf(weight: number, scale: number, zero: number): number {
  return Math.min(LEVELS, Math.max(0, Math.round(weight / scale + zero)));
}

/** A part of a matrix as one of its own. */
export function matrixOf(values: Float32Array, columns: number): TensorData {
  return tensorData(tensorOf('f32', [values.length / columns, columns], values));
}

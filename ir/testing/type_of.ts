import type { DType } from '../dtypes/index.ts';
import { tensorType, type TensorType } from '../type.ts';

/** The type that a text such as `f32[2, 4]` writes, of plain sizes. */
export function typeOf(text: string): TensorType {
  const [, dtype, shape] = /^(\w+)\[(.*)\]$/.exec(text)!;
  return tensorType(dtype as DType, shape === '' ? [] : shape!.split(', ').map(Number));
}

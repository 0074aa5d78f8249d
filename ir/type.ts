import { printDim, sameDim, type Dim } from './dim.ts';
import type { DType } from './dtypes/index.ts';

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** The type of a tensor; sizes may have symbols. */
export function tensorType(dtype: DType, shape: readonly Dim[]): TensorType {
  return { dtype, shape };
}

/** Whether two shapes are equal whatever their symbols are. */
export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((d, i) => sameDim(d, b[i]!));
}

/** Whether dtype and shape are equal. */
export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/** `[1, seq, 2048]` */
export function printShape(shape: readonly Dim[]): string {
  return `[${shape.map(printDim).join(', ')}]`;
}

/** `f16[batch, seq, 768]` */
export function printType(type: TensorType): string {
  return type.dtype + printShape(type.shape);
}

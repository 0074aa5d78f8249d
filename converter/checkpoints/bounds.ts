import { dtypes, type DType } from '../../ir/dtypes/index.ts';

/** Most axes that numpy (64) and safetensors files have in practice. */
export const MAX_RANK = 64;

/**
 * Bytes of a tensor, or undefined when the element or byte count is not an exact integer below 2^53.
 * Zeros do not hide an overflow: [2^40, 2^40, 0] is refused as the reference readers refuse it.
 */
export function tensorByteLength(dtype: DType, shape: readonly number[]): number | undefined {
  return packedByteLength(dtypes[dtype].bits, shape);
}

/** The same for elements of so many bits, one after another. */
export function packedByteLength(bits: number, shape: readonly number[]): number | undefined {
  let count = 1;
  let empty = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) return undefined;
    if (dim === 0) empty = true;
    else count *= dim;
    if (count > Number.MAX_SAFE_INTEGER) return undefined;
  }
  const bytes = Math.ceil((count * bits) / 8);
  if (bytes > Number.MAX_SAFE_INTEGER) return undefined;
  return empty ? 0 : bytes;
}

/** Whether [begin, begin + length) lies in [0, limit): every offset that a file states goes through here. */
export function liesWithin(begin: number, length: number, limit: number): boolean {
  return (
    Number.isSafeInteger(begin) &&
    Number.isSafeInteger(length) &&
    begin >= 0 &&
    length >= 0 &&
    begin <= limit &&
    length <= limit - begin
  );
}

/** Arrays that hold decoded elements. Float32Array is exact for f32, f16 and bf16; Float64Array for i64 up to 2^53. */
export type NumberArray = Float64Array | Float32Array | Int32Array;

/** What a dtype is: its bits, its rounding, and how its elements lie in bytes (little-endian, C order). */
export interface Codec<Name extends string = string> {
  readonly name: Name;
  readonly bits: 4 | 8 | 16 | 32 | 64;
  readonly kind: 'float' | 'int' | 'bool';
  /** Largest finite value; Infinity is beyond it for floats. */
  readonly max: number;
  /** A zeroed array in which every value of this dtype is exact (i64: up to 2^53). */
  allocate(length: number): NumberArray;
  /**
   * The nearest representable value: ties to even for floats (overflow gives ±Infinity); integers truncate and
   * saturate.
   */
  round(x: number): number;
  /** Decodes `count` elements from `bytes` into `out` at `outOffset`. Bytes need no alignment. */
  decode(bytes: Uint8Array, count: number, out: NumberArray, outOffset: number): void;
  /** Encodes `count` elements of `values` from `offset` into `bytes`, rounding each. */
  encode(values: ArrayLike<number>, offset: number, count: number, bytes: Uint8Array): void;
}

/** The same bytes as a DataView. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

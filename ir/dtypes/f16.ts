import { viewOf, type Codec } from './codec.ts';

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The value of a binary16 bit pattern. */
export function f16FromBits(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The binary16 pattern nearest to a binary32 pattern, ties to even; NaN stays NaN with its top payload bits. */
export function f16BitsFromF32Bits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude >= 0x7f800000)
    return sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 | ((magnitude >>> 13) & 0x3ff) : 0);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  if (magnitude < 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  return sign | ((significand + half - 1 + ((significand >>> shift) & 1)) >>> shift);
}

/** f64 to binary16 in one rounding: going through f32 would round twice. */
function roundToF16(x: number): number {
  const a = Math.abs(x);
  if (!(a < 65520)) return Number.isNaN(x) ? x : x * Infinity;
  if (a === 0) return x;
  float[0] = a;
  const exponent = Math.max((word[0]! >>> 23) - 127, -14);
  const quantum = 2 ** (exponent - 10);
  const scaled = a / quantum;
  const rounded = scaled + 4503599627370496 - 4503599627370496;
  return (x < 0 ? -rounded : rounded) * quantum;
}

/** IEEE 754 binary16. */
export const f16: Codec<'f16'> = {
  name: 'f16',
  bits: 16,
  kind: 'float',
  max: 65504,
  allocate: (length) => new Float32Array(length),
  round: roundToF16,
  decode(bytes, count, out, outOffset) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) out[outOffset + i] = f16FromBits(view.getUint16(2 * i, true));
  },
  encode(values, offset, count, bytes) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) {
      float[0] = roundToF16(values[offset + i]!);
      view.setUint16(2 * i, f16BitsFromF32Bits(word[0]!), true);
    }
  },
};

import { viewOf, type Codec } from './codec.ts';

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bfloat16 pattern nearest to a binary32 pattern, ties to even; NaN stays NaN. */
export function bf16BitsFromF32Bits(x: number): number {
  if ((x & 0x7fffffff) > 0x7f800000) return (x >>> 16) | 0x40;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

/** f64 to bfloat16 in one rounding: going through f32 would round twice. */
function roundToBf16(x: number): number {
  const a = Math.abs(x);
  if (a === 0 || !Number.isFinite(x)) return x;
  float[0] = a;
  const exponent = Math.min(Math.max((word[0]! >>> 23) - 127, -126), 127);
  const quantum = 2 ** (exponent - 7);
  const rounded = (a / quantum + 4503599627370496 - 4503599627370496) * quantum;
  const finite = rounded > 3.3895313892515355e38 ? Infinity : rounded;
  return x < 0 ? -finite : finite;
}

/** bfloat16: the upper half of binary32. */
export const bf16: Codec<'bf16'> = {
  name: 'bf16',
  bits: 16,
  kind: 'float',
  max: 3.3895313892515355e38,
  allocate: (length) => new Float32Array(length),
  round: roundToBf16,
  decode(bytes, count, out, outOffset) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) {
      word[0] = view.getUint16(2 * i, true) << 16;
      out[outOffset + i] = float[0]!;
    }
  },
  encode(values, offset, count, bytes) {
    const view = viewOf(bytes);
    for (let i = 0; i < count; i++) {
      float[0] = roundToBf16(values[offset + i]!);
      view.setUint16(2 * i, bf16BitsFromF32Bits(word[0]!), true);
    }
  },
};

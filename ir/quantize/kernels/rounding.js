// @ts-check
// Plain JavaScript, like all of this folder: worker threads load it as it stands, from the sources and from the build
// alike. Everything here is binary32 arithmetic, rounded after each operation (Math.fround), so that assembly/ gives
// the same bits.

const { fround } = Math;

const float = new Float32Array(1);
const word = new Int32Array(float.buffer);

/** The smallest scale: binary16's smallest subnormal. */
export const MIN_SCALE = 2 ** -24;
/** The largest: binary16's largest finite value. */
export const MAX_SCALE = 65504;
/** What rounds to infinity in binary16. */
export const OVERFLOW = 65520;
/**
 * 1.5 · 2^23: adding it to |x| < 2^22 leaves no fraction bits, and subtracting it gives x rounded to an integer, ties
 * to even.
 */
const MAGIC = 12582912;

/**
 * Nearest integer, ties to even. |x| < 2^22.
 * @param {number} x binary32
 */
export function roundToEven(x) {
  return fround(fround(x + MAGIC) - MAGIC);
}

/**
 * The nearest binary16 value, ties to even; magnitudes beyond 65504 become 65504.
 * @param {number} x finite binary32
 */
export function roundToHalf(x) {
  const magnitude = Math.abs(x);
  // in [0.5, 1) neighbours of binary32 lie 2^-24 apart, as subnormals of binary16 do
  if (magnitude < 2 ** -14) return fround(Math.sign(x) * fround(fround(magnitude + 0.5) - 0.5));
  float[0] = Math.min(magnitude, MAX_SCALE);
  const bits = /** @type {number} */ (word[0]);
  word[0] = (bits + 0xfff + ((bits >>> 13) & 1)) & ~0x1fff;
  return Math.sign(x) * float[0];
}

/**
 * A scale as it is stored: rounded to binary16 and at least 2^-24, so that its reciprocal is finite.
 * @param {number} x finite binary32, ≥ 0
 */
export function roundScale(x) {
  return Math.max(roundToHalf(x), MIN_SCALE);
}

/**
 * Bits of a binary16 value.
 * @param {number} x binary32 that binary16 represents
 */
export function halfBits(x) {
  float[0] = x;
  const bits = /** @type {number} */ (word[0]);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(x);
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  return sign | (((bits & 0x7fffffff) - 0x38000000) >>> 13);
}

/**
 * The value of finite binary16 bits.
 * @param {number} bits
 */
export function halfValue(bits) {
  word[0] = (bits & 0x7fff) << 13;
  return (bits & 0x8000 ? -1 : 1) * /** @type {number} */ (float[0]) * 2 ** 112;
}

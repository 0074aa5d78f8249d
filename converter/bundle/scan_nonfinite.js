// @ts-check
// Plain JavaScript because the writer's thread loads it as it stands, from the sources and from the build alike.

/**
 * Per dtype: exponent bits of a 32-bit word, the unit that carries out of a full exponent, and where the carry lands.
 */
const PATTERNS = {
  f16: { exponent: 0x7c007c00, unit: 0x04000400, carry: 0x80008000, magnitude: 0x7fff, infinity: 0x7c00 },
  bf16: { exponent: 0x7f807f80, unit: 0x00800080, carry: 0x80008000, magnitude: 0x7fff, infinity: 0x7f80 },
  f32: { exponent: 0x7f800000, unit: 0x00800000, carry: 0x80000000, magnitude: 0x7fffffff, infinity: 0x7f800000 },
};

/** Words per step: the hot loop only collects carries, and a step is looked at again when there is one. */
const STEP = 4096;

/**
 * Counts infinities and NaN in packed little-endian floats; other dtypes have none.
 * @param {Uint8Array} bytes
 * @param {string} dtype
 * @returns {{ infinite: number, nan: number }}
 */
export function scanNonFinite(bytes, dtype) {
  const counts = { infinite: 0, nan: 0 };
  if (dtype !== 'f16' && dtype !== 'bf16' && dtype !== 'f32') return counts;
  const pattern = PATTERNS[dtype];
  const from = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Uint32Array(from.buffer, from.byteOffset, from.byteLength >>> 2);
  const { exponent, unit, carry } = pattern;
  for (let begin = 0; begin < words.length; begin += STEP) {
    const end = Math.min(begin + STEP, words.length);
    let carries = 0;
    for (let i = begin; i < end; i++) carries |= ((/** @type {number} */ (words[i]) & exponent) + unit) | 0;
    if (carries & carry) count(from.subarray(begin * 4, end * 4), dtype, pattern, counts);
  }
  count(from.subarray(words.length * 4), dtype, pattern, counts);
  return counts;
}

/**
 * @param {Uint8Array} bytes
 * @param {'f16' | 'bf16' | 'f32'} dtype
 * @param {{ magnitude: number, infinity: number }} pattern
 * @param {{ infinite: number, nan: number }} counts
 */
function count(bytes, dtype, { magnitude, infinity }, counts) {
  const elements =
    dtype === 'f32'
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
      : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 1);
  for (const element of elements) {
    const value = element & magnitude;
    if (value === infinity) counts.infinite++;
    else if (value > infinity) counts.nan++;
  }
}

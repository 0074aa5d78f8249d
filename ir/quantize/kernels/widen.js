// @ts-check

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** @typedef {'f32' | 'f16' | 'bf16'} WeightType */

/** Bytes of an element. @param {WeightType} dtype */
export function sizeOf(dtype) {
  return dtype === 'f32' ? 4 : 2;
}

/**
 * Elements [first, first + out.length) of packed little-endian floats, as binary32.
 * @param {Uint8Array} bytes at an offset that is a multiple of the element
 * @param {WeightType} dtype
 * @param {number} first
 * @param {Float32Array} out
 */
export function widen(bytes, dtype, first, out) {
  if (dtype === 'f32') {
    out.set(new Float32Array(bytes.buffer, bytes.byteOffset + 4 * first, out.length));
    return;
  }
  const source = new Uint16Array(bytes.buffer, bytes.byteOffset + 2 * first, out.length);
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  if (dtype === 'bf16') for (let i = 0; i < source.length; i++) words[i] = /** @type {number} */ (source[i]) << 16;
  else for (let i = 0; i < source.length; i++) out[i] = singleOfHalf(/** @type {number} */ (source[i]));
}

/** @param {number} bits of binary16 */
function singleOfHalf(bits) {
  const magnitude = bits & 0x7fff;
  word[0] = magnitude >= 0x7c00 ? (magnitude << 13) | 0x7f800000 : magnitude << 13;
  const value = /** @type {number} */ (float[0]) * (magnitude >= 0x7c00 ? 1 : 2 ** 112);
  return bits & 0x8000 ? -value : value;
}

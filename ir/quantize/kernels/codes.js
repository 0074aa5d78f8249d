// @ts-check
import { roundToEven } from './rounding.js';

/** @typedef {import('./form.js').Form} Form */

const { fround } = Math;

/**
 * The codes of a block: the one rule by which every algorithm but GPTQ makes them.
 * @param {Float32Array} w
 * @param {number} scale
 * @param {number} zero
 * @param {Form} form
 * @param {Uint8Array} codes
 * @param {number} at
 */
export function encodeBlock(w, scale, zero, { low, levels, codebook }, codes, at) {
  const inverse = fround(1 / scale);
  if (codebook) return encodeNearest(w, inverse, codebook, codes, at);
  for (let i = 0; i < w.length; i++) {
    const t = fround(fround(/** @type {number} */ (w[i]) * inverse) + zero);
    codes[at + i] = roundToEven(Math.min(Math.max(t, low), levels));
  }
}

/**
 * Codes of the nearest levels: a code is the number of midpoints between neighbours that lie below w / s, so that a tie
 * goes to the lower level, as in bitsandbytes (csrc/kernels.cu, `dQuantizeNF4`).
 * @param {Float32Array} w
 * @param {number} inverse
 * @param {readonly number[]} codebook
 * @param {Uint8Array} codes
 * @param {number} at
 */
function encodeNearest(w, inverse, codebook, codes, at) {
  const midpoints = midpointsOf(codebook);
  for (let i = 0; i < w.length; i++) {
    const x = fround(/** @type {number} */ (w[i]) * inverse);
    let code = 0;
    for (let step = codebook.length >> 1; step > 0; step >>= 1)
      if (x > /** @type {number} */ (midpoints[code + step - 1])) code += step;
    codes[at + i] = code;
  }
}

/** @type {WeakMap<readonly number[], Float32Array>} */
const known = new WeakMap();

/** Halfway between neighbours, in binary32. @param {readonly number[]} codebook */
function midpointsOf(codebook) {
  const midpoints =
    known.get(codebook) ??
    Float32Array.from(codebook.slice(1), (level, i) => (level + /** @type {number} */ (codebook[i])) / 2);
  known.set(codebook, midpoints);
  return midpoints;
}

/**
 * Σ h (w − (code − z) s)² of affine codes, in order.
 * @param {Float32Array} w
 * @param {Float32Array} h
 * @param {number} scale
 * @param {number} zero
 * @param {Form} form
 */
export function errorOf(w, h, scale, zero, { low, levels }) {
  const inverse = fround(1 / scale);
  let sum = fround(0);
  for (let i = 0; i < w.length; i++) {
    const x = fround(/** @type {number} */ (w[i]));
    const t = fround(fround(x * inverse) + zero);
    const code = roundToEven(Math.min(Math.max(t, low), levels));
    const e = fround(x - fround(fround(code - zero) * scale));
    sum = fround(sum + fround(fround(/** @type {number} */ (h[i]) * e) * e));
  }
  return sum;
}

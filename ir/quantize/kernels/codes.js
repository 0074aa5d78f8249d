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
export function encodeBlock(w, scale, zero, { low, levels }, codes, at) {
  const inverse = fround(1 / scale);
  for (let i = 0; i < w.length; i++) {
    const t = fround(fround(/** @type {number} */ (w[i]) * inverse) + zero);
    codes[at + i] = roundToEven(Math.min(Math.max(t, low), levels));
  }
}

/**
 * Σ h (w − (code − z) s)², in order.
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

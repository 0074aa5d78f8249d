// @ts-check
import { OVERFLOW } from './rounding.js';

/**
 * What the codes of a scheme are. An affine code is `clamp(round_to_even(w · (1/s) + z), low, levels)` in binary32, and
 * means (code − z) · s; one of a codebook is that of the level nearest to w · (1/s).
 * @typedef {object} Form
 * @property {4 | 8} bits
 * @property {readonly number[] | undefined} codebook what codes mean, ascending, times s; undefined: affine codes
 * @property {number} reach of symmetric schemes: what s is multiplied with at most on both sides of 0
 * @property {number} block weights that share a scale
 * @property {boolean} symmetric z is 2^(bits−1)
 * @property {boolean} floatZero z is any binary16 value instead of a code
 * @property {number} low the smallest code: 1 for symmetric int8, whose codes mean −127 … 127
 * @property {number} levels the largest code
 * @property {number} middle z of symmetric schemes
 * @property {number} limit what every scale stays below: 65520, which overflows in binary16, or Infinity, with which
 * larger ones become 65504
 */

/**
 * @param {{ bits: 4 | 8, block: number, symmetric: boolean, floatZero: boolean, allowOverflow?: boolean, codebook?:
 * readonly number[] }} scheme
 * @returns {Form}
 */
export function formOf({ bits, block, symmetric, floatZero, allowOverflow = false, codebook }) {
  return {
    bits,
    codebook,
    reach: codebook ? 1 : 2 ** (bits - 1) - 1,
    block,
    symmetric,
    floatZero,
    low: symmetric && bits === 8 ? 1 : 0,
    levels: 2 ** bits - 1,
    middle: 2 ** (bits - 1),
    limit: allowOverflow ? Infinity : OVERFLOW,
  };
}

/**
 * The scale and zero point of a block, and whether a weight is NaN or infinite or the scale is beyond binary16.
 * @typedef {{ scale: number, zero: number, fault: number }} Choice
 */

export const FAULT_NONE = 0;
export const FAULT_NON_FINITE = 1;
export const FAULT_OVERFLOW = 2;

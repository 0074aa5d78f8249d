// @ts-check
import { FAULT_NONE, FAULT_NON_FINITE, FAULT_OVERFLOW } from './form.js';
import { MIN_SCALE, roundScale, roundToEven, roundToHalf } from './rounding.js';

/** @typedef {import('./form.js').Form} Form @typedef {import('./form.js').Choice} Choice */

const { fround } = Math;

/**
 * A float zero point is at most about 2^10 steps away: binary16 still tells whole steps apart there. Reached by blocks
 * that are nearly constant.
 */
const FAR = 2 ** -10;

/**
 * What a block spans. A float zero point needs no 0 in the range; an integer one has it, since 0 is always a code's
 * meaning.
 * @typedef {{ low: number, high: number, step: number }} Span
 */

/**
 * Round to nearest: the scale spans the block, symmetric max|w| / (2^(bits−1) − 1), or max|w| for a codebook,
 * otherwise (max − min) / (2^bits − 1).
 * @param {Float32Array} w
 * @param {Form} form
 * @param {Choice} choice
 * @param {Span} span
 */
export function roundToNearest(w, form, choice, span) {
  let low = form.floatZero ? fround(/** @type {number} */ (w[0])) : 0;
  let high = low;
  for (let i = 0; i < w.length; i++) {
    const x = fround(/** @type {number} */ (w[i]));
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  const most = Math.max(high, -low);
  let step = form.symmetric ? fround(most / form.reach) : fround(fround(high - low) / form.levels);
  if (form.floatZero) step = Math.max(step, fround(most * FAR));
  span.low = low;
  span.high = high;
  span.step = step;
  choice.fault = step < form.limit ? FAULT_NONE : most <= 3.4028234663852886e38 ? FAULT_OVERFLOW : FAULT_NON_FINITE;
  choice.scale = roundScale(step);
  choice.zero = form.symmetric ? form.middle : zeroOf(zeroBelow(span, choice.scale, form), form);
}

/**
 * The zero point for which the first code means the least weight. Codes of the smallest scale may reach further than
 * all of the block, and would round it to that one weight, twice as far off as 0 is: there a code means what the block
 * spans nearest to 0, so that no weight is further off than it would be as 0.
 * @param {Span} span
 * @param {number} scale
 * @param {Form} form
 */
function zeroBelow({ low, high, step }, scale, { floatZero }) {
  const inverse = fround(1 / scale);
  if (!floatZero || step === 0 || step >= MIN_SCALE) return fround(fround(-low) * inverse);
  const nearest = Math.min(Math.max(0, low), high);
  return fround(roundToEven(fround(fround(nearest - low) * inverse)) - fround(nearest * inverse));
}

/**
 * A zero point as it is stored.
 * @param {number} z
 * @param {Form} form
 */
export function zeroOf(z, form) {
  return form.floatZero ? roundToHalf(z) : roundToEven(Math.min(Math.max(z, 0), form.levels));
}

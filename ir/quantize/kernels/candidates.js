// @ts-check

/** @typedef {import('./form.js').Form} Form */

/**
 * What a search tries. Ratios multiply the reciprocal of round to nearest's scale: above 1 the scale is smaller and the
 * ends of the block are clipped.
 * @typedef {object} Candidates
 * @property {Float32Array} ratios
 * @property {Float32Array} shifts float zero points: shifts in steps, tried with every ratio
 * @property {Float32Array} near pairs of a ratio to the best so far and a shift of its zero point, tried last
 * @property {number} refits float zero points: how often the best line is fitted again
 */

/** Longer blocks (per channel) owe their range to single outliers, so the best scale may be far smaller. */
const MOST_NARROW_BLOCK = 256;

/** @param {number} from @param {number} to @param {number} count */
const evenly = (from, to, count) =>
  Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

const NONE = new Float32Array(0);
// Chosen on Gauss, Laplace and Student-t weights: within 0.03 dB of 200 ratios with all 16 zero points.
const NEAR = Float32Array.of(1, 0, 1, -1, 1, 1, 1.01, 0, 0.99, 0, 1.02, -1, 1.02, 1);
const INTEGER = { ratios: evenly(0.95, 1.3, 12), shifts: NONE, near: NEAR, refits: 0 };
// The larger side has one step more than round to nearest gives it: from 7/8 of its scale on.
const SYMMETRIC = { ratios: evenly(0.97, 1.5, 16), shifts: NONE, near: NEAR, refits: 0 };
const INTEGER_WIDE = { ratios: evenly(0.95, 3.65, 28), shifts: NONE, near: NEAR, refits: 0 };
const FLOAT = { ratios: evenly(0.95, 1.4, 10), shifts: Float32Array.of(-0.3, 0, 0.3), near: NONE, refits: 2 };
const FLOAT_WIDE = { ratios: evenly(0.95, 3.65, 28), shifts: Float32Array.of(-0.3, 0, 0.3), near: NONE, refits: 2 };
const FINE = { ratios: evenly(0.99, 1.01, 6), shifts: NONE, near: NONE, refits: 0 };
const FINE_WIDE = { ratios: evenly(0.99, 2.25, 15), shifts: NONE, near: NONE, refits: 0 };

/**
 * @param {Form} form
 * @returns {Candidates}
 */
export function candidatesFor({ bits, block, symmetric, floatZero }) {
  const narrow = block <= MOST_NARROW_BLOCK;
  if (bits === 8) return narrow ? FINE : FINE_WIDE;
  if (floatZero) return narrow ? FLOAT : FLOAT_WIDE;
  if (!narrow) return INTEGER_WIDE;
  return symmetric ? SYMMETRIC : INTEGER;
}

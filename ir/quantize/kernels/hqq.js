// @ts-check
import { roundToNearest, zeroOf } from './rtn.js';
import { MIN_SCALE, roundScale, roundToEven } from './rounding.js';

/** @typedef {import('./form.js').Form} Form @typedef {import('./form.js').Choice} Choice */

const P = 0.7;
const BETA = 10;
const KAPPA = 1.01;
const ITERATIONS = 20;

const span = { low: 0, high: 0, step: 0 };
const float = new Float32Array(1);
const word = new Int32Array(float.buffer);

/**
 * x^(P−1) is read from tables by exponent and by ten bits of the fraction: the same on every machine, which Math.pow
 * need not be.
 */
const OF_EXPONENT = Float32Array.from({ length: 256 }, (_, e) => 2 ** ((e - 127) * (P - 1)));
const OF_FRACTION = Float32Array.from({ length: 1024 }, (_, m) => (1 + (m + 0.5) / 1024) ** (P - 1));

/**
 * Half-quadratic quantization (Badri and Shaji 2023, github.com/mobiusml/hqq, `optimize_weights_proximal`): round to
 * nearest's scale stays, and the zero point minimises Σ |w − ŵ|^0.7 by turns: the proximal step of the norm finds
 * outliers, and the zero point becomes the mean that leaves them out. Errors count in steps of the scale, so that the
 * weights' own size does not matter. Stops when the error grows. An integer zero point is the optimum rounded, and the
 * scale is then fitted to its codes by least squares. Symmetric codes have no zero point to optimise: only that fit
 * remains. Importance is not used.
 * @param {Float32Array} w
 * @param {Form} form
 * @param {Choice} choice
 */
export function halfQuadratic(w, form, choice) {
  roundToNearest(w, form, choice, span);
  if (choice.fault) return;
  const { levels, low, symmetric, floatZero } = form;
  // errors of less than a step would be traded for larger ones, and these blocks be further off than as zeros
  if (floatZero && span.step < MIN_SCALE) return;
  const inverse = 1 / choice.scale;
  let zero = symmetric ? choice.zero : -span.low * inverse;
  let best = zero;
  if (!symmetric) {
    let beta = BETA;
    let least = Infinity;
    for (let turn = 0; turn < ITERATIONS; turn++) {
      let shift = 0;
      let error = 0;
      for (let i = 0; i < w.length; i++) {
        const x = /** @type {number} */ (w[i]) * inverse;
        const code = Math.min(Math.max(nearest(x + zero), low), levels);
        const e = x - (code - zero);
        const size = Math.abs(e);
        error += size;
        const shrunk = size - power(size) / beta;
        shift += code - (x - (shrunk > 0 ? Math.sign(e) * shrunk : 0));
      }
      if (error >= least) break;
      least = error;
      best = zero;
      zero = shift / w.length;
      beta *= KAPPA;
    }
  }
  choice.zero = zeroOf(Math.fround(best), form);
  if (floatZero) return;
  let wr = 0;
  let rr = 0;
  for (let i = 0; i < w.length; i++) {
    const x = /** @type {number} */ (w[i]);
    const r = Math.min(Math.max(nearest(x * inverse + choice.zero), low), levels) - choice.zero;
    wr += x * r;
    rr += r * r;
  }
  if (rr > 0) choice.scale = roundScale(Math.fround(wr / rr));
}

/** Nearest integer, ties to even, of |x| < 2^22. @param {number} x */
function nearest(x) {
  return roundToEven(Math.fround(Math.min(Math.max(x, -65536), 65536)));
}

/** x^(P−1) to three digits. @param {number} x ≥ 0 */
function power(x) {
  float[0] = x;
  const bits = /** @type {number} */ (word[0]);
  return /** @type {number} */ (OF_EXPONENT[bits >>> 23]) * /** @type {number} */ (OF_FRACTION[(bits >>> 13) & 1023]);
}

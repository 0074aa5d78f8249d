// @ts-check
import { errorOf } from './codes.js';
import { roundToNearest } from './rtn.js';
import { roundScale, roundToEven } from './rounding.js';

/**
 * @typedef {import('./form.js').Form} Form @typedef {import('./form.js').Choice} Choice @typedef
 * {import('./candidates.js').Candidates} Candidates
 */

const { fround } = Math;

const span = { low: 0, high: 0, step: 0 };
const fit = { gain: 0, scale: 0 };

/**
 * 4-bit codes with an integer zero point: of many candidates for the scale, each with its zero point, the one after
 * whose rounding a least-squares scale leaves the least Σ h (w − ŵ)² (the search of llama.cpp's k-quants, ggml-quants.c
 * `make_qkx2_quants`, over scale and integer zero point in place of scale and minimum). Never worse than round to
 * nearest.
 * @param {Float32Array} w
 * @param {Float32Array} h importance of each weight, > 0
 * @param {Float32Array} hw h · w
 * @param {Form} form
 * @param {Candidates} candidates
 * @param {Choice} choice
 */
export function searchInteger(w, h, hw, form, { ratios, near }, choice) {
  roundToNearest(w, form, choice, span);
  const { symmetric, levels, middle } = form;
  const centre = fround(levels / 2);
  // symmetric codes reach one step further below zero than above: the larger side goes there, by the sign of the scale
  // (as in llama.cpp's q4_0)
  const sign = symmetric && span.high > fround(-span.low) ? -1 : 1;
  const inverse = fround(sign / Math.max(span.step, 2 ** -24));
  const offset = fround(fround(fround(-span.low) * inverse) - centre);
  let gain = fround(0);
  let scale = fround(choice.scale);
  let zero = choice.zero;
  for (let c = 0; c < ratios.length; c++) {
    const ratio = fround(/** @type {number} */ (ratios[c]));
    const z = symmetric ? middle : roundToEven(Math.min(Math.max(fround(fround(offset * ratio) + centre), 0), levels));
    fitScale(w, h, hw, fround(inverse * ratio), z, levels);
    if (fit.gain > gain) {
      gain = fit.gain;
      scale = fit.scale;
      zero = z;
    }
  }
  const around = fround(1 / scale);
  const centreZero = zero;
  for (let c = 0; c < near.length; c += 2) {
    const z = symmetric ? middle : Math.min(Math.max(centreZero + /** @type {number} */ (near[c + 1]), 0), levels);
    fitScale(w, h, hw, fround(around * fround(/** @type {number} */ (near[c]))), z, levels);
    if (fit.gain > gain) {
      gain = fit.gain;
      scale = fit.scale;
      zero = z;
    }
  }
  const stored = scale < 0 ? -roundScale(-scale) : roundScale(scale);
  if (errorOf(w, h, stored, zero, form) < errorOf(w, h, choice.scale, choice.zero, form)) {
    choice.scale = stored;
    choice.zero = zero;
  }
}

/**
 * With r the codes less z: the s that minimises Σ h (w − s r)² is Σ h w r / Σ h r², and it removes (Σ h w r)² / Σ h r²
 * of Σ h w².
 * @param {Float32Array} w
 * @param {Float32Array} h
 * @param {Float32Array} hw
 * @param {number} inverse
 * @param {number} z
 * @param {number} levels
 */
function fitScale(w, h, hw, inverse, z, levels) {
  const low = fround(-z);
  const high = fround(levels - z);
  let wr = fround(0);
  let rr = fround(0);
  for (let i = 0; i < w.length; i++) {
    const r = roundToEven(Math.min(Math.max(fround(/** @type {number} */ (w[i]) * inverse), low), high));
    wr = fround(wr + fround(/** @type {number} */ (hw[i]) * r));
    rr = fround(rr + fround(fround(/** @type {number} */ (h[i]) * r) * r));
  }
  fit.scale = fround(wr / rr);
  fit.gain = fround(wr * fit.scale);
}

/**
 * 8-bit codes: of a few candidates for the scale the one with the least Σ h (w − ŵ)², the first of equals; the first is
 * round to nearest's. (The closed form of 4 bits is a difference of sums that agree to more digits than binary32 has.)
 * @param {Float32Array} w
 * @param {Float32Array} h
 * @param {Form} form
 * @param {Candidates} candidates
 * @param {Choice} choice
 */
export function searchFine(w, h, form, { ratios }, choice) {
  roundToNearest(w, form, choice, span);
  const { symmetric, levels, middle } = form;
  let least = errorOf(w, h, choice.scale, choice.zero, form);
  for (let c = 0; c < ratios.length; c++) {
    const scale = roundScale(fround(span.step / fround(/** @type {number} */ (ratios[c]))));
    const zero = symmetric
      ? middle
      : roundToEven(Math.min(Math.max(fround(fround(-span.low) * fround(1 / scale)), 0), levels));
    const error = errorOf(w, h, scale, zero, form);
    if (error < least) {
      least = error;
      choice.scale = scale;
      choice.zero = zero;
    }
  }
}

// @ts-check
import { errorOf } from './codes.js';
import { roundToNearest, zeroOf } from './rtn.js';
import { roundScale, roundToEven } from './rounding.js';

/**
 * @typedef {import('./form.js').Form} Form @typedef {import('./form.js').Choice} Choice @typedef
 * {import('./candidates.js').Candidates} Candidates
 */

const { fround } = Math;

const span = { low: 0, high: 0, step: 0 };
const line = { gain: 0, scale: 0, shift: 0 };

/**
 * 4-bit codes with a float zero point: of many candidates for scale and zero point, the one after whose rounding the
 * least-squares line leaves the least Σ h (w − ŵ)² (llama.cpp, ggml-quants.c `make_qkx2_quants`), fitted again while
 * that helps. Never worse than round to nearest.
 * @param {Float32Array} w
 * @param {Float32Array} h importance of each weight, > 0
 * @param {Float32Array} x room for the block less its middle
 * @param {Form} form
 * @param {Candidates} candidates
 * @param {Choice} choice
 */
export function searchFloat(w, h, x, form, { ratios, shifts, refits }, choice) {
  roundToNearest(w, form, choice, span);
  const centre = fround(form.levels / 2);
  const middle = fround(fround(span.low + span.high) * 0.5);
  let sumH = fround(0);
  let sumX = fround(0);
  for (let i = 0; i < w.length; i++) {
    x[i] = fround(/** @type {number} */ (w[i]) - middle);
    sumH = fround(sumH + /** @type {number} */ (h[i]));
    sumX = fround(sumX + fround(/** @type {number} */ (h[i]) * /** @type {number} */ (x[i])));
  }
  const inverse = fround(1 / Math.max(span.step, 2 ** -24));
  let gain = fround(-1);
  let scale = fround(choice.scale);
  let shift = fround(0);
  for (let c = 0; c < ratios.length; c++) {
    for (let d = 0; d < shifts.length; d++) {
      fitLine(
        x,
        h,
        fround(inverse * fround(/** @type {number} */ (ratios[c]))),
        fround(/** @type {number} */ (shifts[d])),
        centre,
        sumH,
        sumX,
      );
      if (line.gain > gain) {
        gain = line.gain;
        scale = line.scale;
        shift = line.shift;
      }
    }
  }
  for (let c = 0; c < refits; c++) {
    const again = fround(1 / scale);
    fitLine(x, h, again, fround(fround(-shift) * again), centre, sumH, sumX);
    if (line.gain > gain) {
      gain = line.gain;
      scale = line.scale;
      shift = line.shift;
    }
  }
  const stored = roundScale(scale);
  const zero = zeroOf(fround(centre - fround(fround(shift + middle) * fround(1 / stored))), form);
  if (errorOf(w, h, stored, zero, form) < errorOf(w, h, choice.scale, choice.zero, form)) {
    choice.scale = stored;
    choice.zero = zero;
  }
}

/**
 * With r = clamp(round(x · inverse + offset + centre)) − centre: the line x ≈ s r + shift of least Σ h (x − ŝ)², and
 * what the slope removes.
 * @param {Float32Array} x
 * @param {Float32Array} h
 * @param {number} inverse
 * @param {number} offset
 * @param {number} centre half of the largest code
 * @param {number} sumH Σ h
 * @param {number} sumX Σ h x
 */
function fitLine(x, h, inverse, offset, centre, sumH, sumX) {
  const start = fround(offset + centre);
  const levels = fround(centre + centre);
  let r1 = fround(0);
  let r2 = fround(0);
  let xr = fround(0);
  for (let i = 0; i < x.length; i++) {
    const t = fround(fround(/** @type {number} */ (x[i]) * inverse) + start);
    const r = fround(roundToEven(Math.min(Math.max(t, 0), levels)) - centre);
    const hr = fround(/** @type {number} */ (h[i]) * r);
    r1 = fround(r1 + hr);
    r2 = fround(r2 + fround(hr * r));
    xr = fround(xr + fround(hr * /** @type {number} */ (x[i])));
  }
  const spread = fround(fround(sumH * r2) - fround(r1 * r1));
  const common = fround(fround(sumH * xr) - fround(sumX * r1));
  line.scale = fround(common / spread);
  line.gain = fround(common * line.scale);
  line.shift = fround(fround(sumX - fround(line.scale * r1)) / sumH);
}

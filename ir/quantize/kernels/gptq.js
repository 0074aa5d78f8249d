// @ts-check
import { roundToEven } from './rounding.js';
import { packNibbles } from './scalar.js';
import { widen } from './widen.js';

/** @typedef {import('./scalar.js').Blocks} Blocks */

/**
 * Columns from `first` on: `upper` is U, upper triangular, Uᵀ U = H⁻¹ of their Hessian, with the columns in `order`.
 * @typedef {{ readonly first: number, readonly upper: Float64Array, readonly order: Uint32Array }} Part
 */

const { fround } = Math;

/** Rows that are worked on together: a row of the factor is read once for all. */
const LANES = 4;
/** Columns whose errors are carried to the rest of the row at once. */
const SPAN = 128;

/**
 * GPTQ (arXiv:2210.17323, algorithm 1): a column is rounded, and its error, as the factor of the inverse Hessian
 * spreads it, is taken out of the columns that are still to come. Columns come in the factor's order. Scales and zero
 * points are given: they cannot wait for a block's turn where its columns come apart. Codes are binary32's nearest as
 * everywhere, the rest is binary64.
 * @param {Blocks} blocks whole rows, with scales and zero points; `importance` is not used
 * @param {readonly Part[]} parts of the columns, all of them; an error stays within its part
 * @param {number} columns K
 */
export function quantizeGptq({ bytes, dtype, count, form, q, scales, zeros }, parts, columns) {
  const { bits, block } = form;
  const perRow = Math.ceil(columns / block);
  const rows = count / perRow;
  const padded = perRow * block;
  const weights = new Float32Array(padded * LANES);
  const lanes = new Float64Array(Math.max(...parts.map(({ order }) => order.length)) * LANES);
  const errors = new Float64Array(SPAN * LANES);
  const codes = new Uint8Array(padded * LANES);
  for (let first = 0; first < rows; first += LANES) {
    const size = Math.min(LANES, rows - first);
    for (let r = 0; r < size; r++)
      widen(bytes, dtype, (first + r) * padded, weights.subarray(r * padded, (r + 1) * padded));
    for (const part of parts) {
      const { order, upper } = part;
      const own = order.length;
      for (let p = 0; p < own; p++) {
        const column = part.first + /** @type {number} */ (order[p]);
        for (let r = 0; r < LANES; r++) lanes[p * LANES + r] = /** @type {number} */ (weights[r * padded + column]);
      }
      for (let begin = 0; begin < own; begin += SPAN) {
        const end = Math.min(begin + SPAN, own);
        for (let p = begin; p < end; p++) {
          const diagonal = /** @type {number} */ (upper[p * own + p]);
          const column = part.first + /** @type {number} */ (order[p]);
          for (let r = 0; r < size; r++) {
            const index = (first + r) * perRow + Math.floor(column / block);
            const scale = /** @type {number} */ (scales[index]);
            const zero = /** @type {number} */ (zeros[index]);
            const w = /** @type {number} */ (lanes[p * LANES + r]);
            const t = fround(fround(fround(w) * fround(1 / scale)) + zero);
            const code = roundToEven(Math.min(Math.max(t, form.low), form.levels));
            codes[r * padded + column] = code;
            errors[(p - begin) * LANES + r] = (w - (code - zero) * scale) / diagonal;
          }
          spread(lanes, errors, upper, own, p, p - begin, p + 1, end);
        }
        for (let p = begin; p < end; p++) spread(lanes, errors, upper, own, p, p - begin, end, own);
      }
    }
    for (let r = 0; r < size; r++) {
      const last = /** @type {number} */ (zeros[(first + r + 1) * perRow - 1]);
      codes.fill(roundToEven(Math.min(Math.max(last, form.low), form.levels)), r * padded + columns, (r + 1) * padded);
      const own = codes.subarray(r * padded, (r + 1) * padded);
      if (bits === 8) q.set(own, (first + r) * padded);
      else packNibbles(own, q, ((first + r) * padded) / 2);
    }
  }
}

/**
 * Columns [from, to) less what the error of column j costs them.
 * @param {Float64Array} lanes
 * @param {Float64Array} errors
 * @param {Float64Array} factor
 * @param {number} columns
 * @param {number} j
 * @param {number} slot
 * @param {number} from
 * @param {number} to
 */
function spread(lanes, errors, factor, columns, j, slot, from, to) {
  const e0 = /** @type {number} */ (errors[slot * LANES]);
  const e1 = /** @type {number} */ (errors[slot * LANES + 1]);
  const e2 = /** @type {number} */ (errors[slot * LANES + 2]);
  const e3 = /** @type {number} */ (errors[slot * LANES + 3]);
  for (let k = from, at = from * LANES, u = j * columns + from; k < to; k++, at += LANES, u++) {
    const share = /** @type {number} */ (factor[u]);
    lanes[at] = /** @type {number} */ (lanes[at]) - e0 * share;
    lanes[at + 1] = /** @type {number} */ (lanes[at + 1]) - e1 * share;
    lanes[at + 2] = /** @type {number} */ (lanes[at + 2]) - e2 * share;
    lanes[at + 3] = /** @type {number} */ (lanes[at + 3]) - e3 * share;
  }
}

// @ts-check
import { candidatesFor } from './candidates.js';
import { halfQuadratic } from './hqq.js';
import { roundToNearest } from './rtn.js';
import { roundToEven } from './rounding.js';
import { packNibbles } from './scalar.js';
import { searchFine, searchInteger } from './search.js';
import { searchFloat } from './search_float.js';
import { widen } from './widen.js';

/** @typedef {import('./scalar.js').Blocks} Blocks */

const { fround } = Math;

/** Rows that are worked on together: a row of the factor is read once for all. */
const LANES = 4;
/** Columns whose errors are carried to the rest of the row at once. */
const SPAN = 128;

/**
 * GPTQ (arXiv:2210.17323, algorithm 1; columns in natural order): a column is rounded, and its error, as the factor of
 * the inverse Hessian spreads it, is taken out of the columns that are still to come. A block's scale and zero point
 * are chosen when its first column's turn has come, for the weights as they are by then, each weighted by what its
 * error costs: 1 / U_jj². Codes are binary32's nearest as everywhere, the rest is binary64.
 * @param {Blocks} blocks whole rows; `importance` is not used
 * @param {Float64Array} factor [K, K] U, upper triangular, Uᵀ U = H⁻¹
 * @param {number} columns K
 * @returns {{ block: number, fault: number } | undefined}
 */
export function quantizeGptq({ bytes, dtype, count, form, algorithm, q, scales, zeros }, factor, columns) {
  const { bits, block } = form;
  const perRow = Math.ceil(columns / block);
  const rows = count / perRow;
  const padded = perRow * block;
  const cost = new Float32Array(padded).fill(1);
  for (let j = 0; j < columns; j++)
    cost[j] = Math.max(
      (/** @type {number} */ (factor[0]) / /** @type {number} */ (factor[j * columns + j])) ** 2,
      2 ** -20,
    );
  const lanes = new Float64Array(padded * LANES);
  const errors = new Float64Array(SPAN * LANES);
  const codes = new Uint8Array(padded * LANES);
  const row = new Float32Array(padded);
  for (let first = 0; first < rows; first += LANES) {
    const size = Math.min(LANES, rows - first);
    lanes.fill(0);
    for (let r = 0; r < size; r++) {
      widen(bytes, dtype, (first + r) * padded, row);
      for (let j = 0; j < padded; j++) lanes[j * LANES + r] = /** @type {number} */ (row[j]);
    }
    for (let begin = 0; begin < columns; begin += SPAN) {
      const end = Math.min(begin + SPAN, columns);
      for (let j = begin; j < end; j++) {
        if (j % block === 0) {
          for (let r = 0; r < size; r++) {
            const index = (first + r) * perRow + j / block;
            const fault = chooseScale(lanes, j, r, cost, form, algorithm, scales, zeros, index);
            if (fault) return { block: index, fault };
          }
        }
        const diagonal = /** @type {number} */ (factor[j * columns + j]);
        for (let r = 0; r < size; r++) {
          const index = (first + r) * perRow + Math.floor(j / block);
          const scale = /** @type {number} */ (scales[index]);
          const zero = /** @type {number} */ (zeros[index]);
          const w = /** @type {number} */ (lanes[j * LANES + r]);
          const t = fround(fround(fround(w) * fround(1 / scale)) + zero);
          const code = roundToEven(Math.min(Math.max(t, form.low), form.levels));
          codes[r * padded + j] = code;
          errors[(j - begin) * LANES + r] = (w - (code - zero) * scale) / diagonal;
        }
        spread(lanes, errors, factor, columns, j, j - begin, j + 1, end);
      }
      for (let j = begin; j < end; j++) spread(lanes, errors, factor, columns, j, j - begin, end, columns);
    }
    for (let r = 0; r < size; r++) {
      const last = /** @type {number} */ (zeros[(first + r + 1) * perRow - 1]);
      codes.fill(roundToEven(Math.min(Math.max(last, form.low), form.levels)), r * padded + columns, (r + 1) * padded);
      const own = codes.subarray(r * padded, (r + 1) * padded);
      if (bits === 8) q.set(own, (first + r) * padded);
      else packNibbles(own, q, ((first + r) * padded) / 2);
    }
  }
  return undefined;
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

const choice = { scale: 0, zero: 0, fault: 0 };
const span = { low: 0, high: 0, step: 0 };

/**
 * @param {Float64Array} lanes
 * @param {number} j
 * @param {number} r
 * @param {Float32Array} cost
 * @param {Blocks['form']} form
 * @param {Blocks['algorithm']} algorithm
 * @param {Float32Array} scales
 * @param {Float32Array} zeros
 * @param {number} index
 */
function chooseScale(lanes, j, r, cost, form, algorithm, scales, zeros, index) {
  const { block, bits, floatZero } = form;
  const w = Float32Array.from({ length: block }, (_, i) => /** @type {number} */ (lanes[(j + i) * LANES + r]));
  const h = cost.subarray(j, j + block);
  const candidates = candidatesFor(form);
  if (algorithm === 'rtn') roundToNearest(w, form, choice, span);
  else if (algorithm === 'hqq') halfQuadratic(w, form, choice);
  else if (bits === 8) searchFine(w, h, form, candidates, choice);
  else if (floatZero) searchFloat(w, h, new Float32Array(block), form, candidates, choice);
  else
    searchInteger(
      w,
      h,
      w.map((x, i) => x * /** @type {number} */ (h[i])),
      form,
      candidates,
      choice,
    );
  scales[index] = choice.scale;
  zeros[index] = choice.zero;
  return choice.fault;
}

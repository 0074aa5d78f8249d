// @ts-check
import { FAULT_NON_FINITE } from './form.js';
import { quantizeGptq } from './gptq.js';
import { halfBits, halfValue } from './rounding.js';
import { quantizeScalar } from './scalar.js';
import { isVectorized, quantizeSimd } from './simd.js';
import { instantiateKernels } from './web_assembly.js';
import { sizeOf, widen } from './widen.js';

/**
 * @typedef {import('./form.js').Form} Form @typedef {import('./scalar.js').Algorithm} Algorithm @typedef
 * {import('./widen.js').WeightType} WeightType
 */

/**
 * Scales as bits of binary16, zero points as codes or, float ones, as bits of binary16; none when they are all the
 * middle code.
 * @typedef {{ scales: Uint16Array, zeros?: Uint8Array | Uint16Array | undefined }} Choices
 */

/**
 * Rows of a matrix to quantize. The memory of `bytes` is given away.
 * @typedef {object} QuantizeJob
 * @property {Uint8Array} bytes
 * @property {WeightType} dtype
 * @property {number} rows
 * @property {number} columns
 * @property {Form} form
 * @property {Exclude<Algorithm, 'given'>} algorithm
 * @property {Float32Array | undefined} [importance] of each column, > 0
 * @property {Choices | undefined} [given] scales and zero points that were found before: only codes are made
 * @property {readonly import('./gptq.js').Part[] | undefined} [parts] codes by GPTQ, on scales that are found
 */

/**
 * Packed codes of whole blocks, or where there are none.
 * @typedef {{ q: Uint8Array, choices: Choices, fault?: undefined } | { fault: { row: number, column: number, value:
 * number, finite: boolean } }} QuantizeReply
 */

/**
 * What runs jobs in this thread: with vectors where a module is given, with the same bytes without.
 * @param {import('./web_assembly.js').Module | undefined} module
 * @returns {(job: QuantizeJob) => QuantizeReply}
 */
export function jobRunner(module) {
  const exports = module && instantiateKernels(module);
  return ({ bytes, dtype, rows, columns, form, algorithm, importance, given, parts }) => {
    const { block, bits } = form;
    const perRow = Math.ceil(columns / block);
    const count = rows * perRow;
    const blocks = {
      bytes: padRows(bytes, rows, columns * sizeOf(dtype), perRow * block * sizeOf(dtype)),
      dtype,
      count,
      form,
      algorithm: given ? /** @type {const} */ ('given') : algorithm,
      importance: importance && padImportance(importance, perRow * block),
      q: new Uint8Array((count * block * bits) / 8),
      scales: new Float32Array(count),
      zeros: new Float32Array(count),
    };
    if (given) unpackChoices(given, form, blocks);
    const failed = exports && isVectorized(blocks) ? quantizeSimd(exports, blocks) : quantizeScalar(blocks);
    if (failed) return { fault: locate(blocks, failed, perRow) };
    if (parts) quantizeGptq(blocks, parts, columns);
    return { q: blocks.q, choices: given ?? packChoices(blocks) };
  };
}

/** @param {Uint8Array} bytes @param {number} rows @param {number} rowBytes @param {number} paddedBytes */
function padRows(bytes, rows, rowBytes, paddedBytes) {
  if (rowBytes === paddedBytes) return bytes;
  const padded = new Uint8Array(rows * paddedBytes);
  for (let r = 0; r < rows; r++) padded.set(bytes.subarray(r * rowBytes, (r + 1) * rowBytes), r * paddedBytes);
  return padded;
}

/**
 * Padding is 0 whatever is chosen, so its importance decides nothing.
 * @param {Float32Array} importance
 * @param {number} length
 */
function padImportance(importance, length) {
  const padded = new Float32Array(length).fill(1);
  padded.set(importance);
  return padded;
}

/** @param {{ form: Form, scales: Float32Array, zeros: Float32Array }} blocks @returns {Choices} */
function packChoices({ form, scales, zeros }) {
  const packed = Uint16Array.from(scales, halfBits);
  if (form.symmetric) return { scales: packed };
  return { scales: packed, zeros: form.floatZero ? Uint16Array.from(zeros, halfBits) : Uint8Array.from(zeros) };
}

/** @param {Choices} given @param {Form} form @param {{ scales: Float32Array, zeros: Float32Array }} to */
function unpackChoices({ scales, zeros }, { middle, floatZero }, to) {
  for (let i = 0; i < scales.length; i++) {
    to.scales[i] = halfValue(/** @type {number} */ (scales[i]));
    const zero = zeros ? /** @type {number} */ (zeros[i]) : middle;
    to.zeros[i] = floatZero ? halfValue(zero) : zero;
  }
}

/**
 * The first weight of the block that is not finite, otherwise the largest.
 * @param {{ bytes: Uint8Array, dtype: WeightType, form: Form }} blocks
 * @param {{ block: number, fault: number }} failed
 * @param {number} perRow
 */
function locate({ bytes, dtype, form }, { block, fault }, perRow) {
  const w = new Float32Array(form.block);
  widen(bytes, dtype, block * form.block, w);
  const finite = fault !== FAULT_NON_FINITE;
  const at = finite
    ? w.reduce((most, x, i) => (Math.abs(x) > Math.abs(w[most] ?? 0) ? i : most), 0)
    : w.findIndex((x) => !Number.isFinite(x));
  return { row: Math.floor(block / perRow), column: (block % perRow) * form.block + at, value: w[at] ?? 0, finite };
}

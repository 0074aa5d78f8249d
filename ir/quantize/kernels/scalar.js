// @ts-check
import { candidatesFor } from './candidates.js';
import { encodeBlock } from './codes.js';
import { halfQuadratic } from './hqq.js';
import { roundToNearest } from './rtn.js';
import { searchFine, searchInteger } from './search.js';
import { searchFloat } from './search_float.js';
import { widen } from './widen.js';

/** @typedef {import('./form.js').Form} Form @typedef {import('./widen.js').WeightType} WeightType */

/* How scales and zero points are found; 'given': they are there, and only codes are made. */
/** @typedef {'rtn' | 'search' | 'hqq' | 'given'} Algorithm */

/**
 * Packed blocks, and what becomes of them. `scales` and `zeros` hold one binary32 for each block and are read when the
 * algorithm is 'given', otherwise written; `q` receives the packed codes. `importance` is a row of blocks, each > 0;
 * undefined: all equal.
 * @typedef {object} Blocks
 * @property {Uint8Array} bytes
 * @property {WeightType} dtype
 * @property {number} count
 * @property {Form} form
 * @property {Algorithm} algorithm
 * @property {Float32Array | undefined} importance
 * @property {Uint8Array} q
 * @property {Float32Array} scales
 * @property {Float32Array} zeros
 */

/**
 * Quantizes blocks one by one. The vectors of simd.js give the same bytes.
 * @param {Blocks} blocks
 * @returns {{ block: number, fault: number } | undefined} the first block that has no scale: what follows it is not
 * done
 */
export function quantizeScalar({ bytes, dtype, count, form, algorithm, importance, q, scales, zeros }) {
  const { bits, block } = form;
  const w = new Float32Array(block);
  const codes = new Uint8Array(block);
  const ones = new Float32Array(block).fill(1);
  const room = new Float32Array(block);
  const perRow = importance ? importance.length / block : 1;
  const candidates = candidatesFor(form);
  const choice = { scale: 0, zero: 0, fault: 0 };
  const bytesPerBlock = (block * bits) / 8;
  for (let b = 0; b < count; b++) {
    widen(bytes, dtype, b * block, w);
    if (algorithm === 'given') {
      choice.scale = /** @type {number} */ (scales[b]);
      choice.zero = /** @type {number} */ (zeros[b]);
    } else {
      const h = importance ? importance.subarray((b % perRow) * block, ((b % perRow) + 1) * block) : ones;
      if (algorithm === 'rtn') roundToNearest(w, form, choice, { low: 0, high: 0, step: 0 });
      else if (algorithm === 'hqq') halfQuadratic(w, form, choice);
      else if (bits === 8) searchFine(w, h, form, candidates, choice);
      else if (form.floatZero) searchFloat(w, h, room, form, candidates, choice);
      else {
        for (let i = 0; i < block; i++) room[i] = /** @type {number} */ (h[i]) * /** @type {number} */ (w[i]);
        searchInteger(w, h, room, form, candidates, choice);
      }
      if (choice.fault) return { block: b, fault: choice.fault };
      scales[b] = choice.scale;
      zeros[b] = choice.zero;
    }
    if (bits === 8) encodeBlock(w, choice.scale, choice.zero, form, q, b * block);
    else {
      encodeBlock(w, choice.scale, choice.zero, form, codes, 0);
      packNibbles(codes, q, b * bytesPerBlock);
    }
  }
  return undefined;
}

/**
 * Two codes in a byte, the first in the low half.
 * @param {Uint8Array} codes
 * @param {Uint8Array} out
 * @param {number} at
 */
export function packNibbles(codes, out, at) {
  for (let i = 0; i < codes.length; i += 2)
    out[at + (i >> 1)] = /** @type {number} */ (codes[i]) | (/** @type {number} */ (codes[i + 1]) << 4);
}

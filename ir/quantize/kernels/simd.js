// @ts-check
import { candidatesFor } from './candidates.js';
import { FAULT_NON_FINITE } from './form.js';
import { roundToNearest } from './rtn.js';
import { sizeOf, widen } from './widen.js';

/** @typedef {import('./scalar.js').Blocks} Blocks @typedef {import('./web_assembly.js').Module} Module */

/**
 * What assembly/index.ts exports.
 * @typedef {object} Exports
 * @property {{ readonly buffer: ArrayBuffer, grow(pages: number): number }} memory
 * @property {(ratios: number, ratioCount: number, shifts: number, shiftCount: number, near: number, nearCount: number,
 * refits: number) => void} setCandidates
 * @property {(input: number, dtype: number, count: number, block: number, bits: number, symmetric: number, floatZero:
 * number, algorithm: number, limit: number, importance: number, perRow: number, room: number, q: number, scales:
 * number, zeros: number) => number} quantize
 * @property {(from: number, to: number, count: number) => void} halfFromSingle
 * @property {(from: number, to: number, count: number) => void} bfloatFromSingle
 * @property {(from: number, to: number, count: number) => void} halfFromBfloat
 */

const DTYPES = { f32: 0, f16: 1, bf16: 2 };
const ALGORITHMS = { rtn: 0, search: 1, given: 2 };
/** Vectors of codes are packed eight weights at a time. */
const BLOCK_MULTIPLE = 8;
const PAGE = 65536;
/** Below lie the module's own data. */
const FIRST_FREE = 1024;
/** Weights that go through the module's memory at once: they and what comes of them stay in a core's cache. */
const TILE_WEIGHTS = 65536;

/** Memory of a WebAssembly instance, handed out from the start again for each tile. */
class Memory {
  #memory;
  #next = FIRST_FREE;

  /** @param {Exports['memory']} memory */
  constructor(memory) {
    this.#memory = memory;
  }

  reset() {
    this.#next = FIRST_FREE;
  }

  /** @param {number} bytes */
  take(bytes) {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 16) * 16;
    const missing = this.#next - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  /** @param {ArrayBufferView} view */
  put(view) {
    const at = this.take(view.byteLength);
    this.bytes(at, view.byteLength).set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return at;
  }

  /** @param {number} at @param {number} length */
  bytes(at, length) {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  /** @param {number} at @param {number} length */
  floats(at, length) {
    return new Float32Array(this.#memory.buffer, at, length);
  }
}

/** Whether `quantizeSimd` does it; scalar.js does everything. @param {Blocks} blocks */
export function isVectorized({ algorithm, form }) {
  return algorithm !== 'hqq' && !form.codebook && form.block % BLOCK_MULTIPLE === 0;
}

/**
 * The same as `quantizeScalar`, four blocks at a time.
 * @param {Exports} exports
 * @param {Blocks} blocks
 * @returns {{ block: number, fault: number } | undefined}
 */
export function quantizeSimd(exports, { bytes, dtype, count, form, algorithm, importance, q, scales, zeros }) {
  if (algorithm === 'hqq') throw new Error('hqq has no vectors');
  const { bits, block, symmetric, floatZero, limit } = form;
  const memory = new Memory(exports.memory);
  const { ratios, shifts, near, refits } = candidatesFor(form);
  const blockBytes = block * sizeOf(dtype);
  const codeBytes = (block * bits) / 8;
  const perRow = importance ? importance.length / block : 1;
  // whole rows of blocks, so that each tile begins with the first importance, and whole groups of four
  const unit = perRow * (perRow % 4 === 0 ? 1 : perRow % 2 === 0 ? 2 : 4);
  const tile = unit * Math.max(1, Math.floor(TILE_WEIGHTS / (unit * block)));
  for (let first = 0; first < count; first += tile) {
    const size = Math.min(tile, count - first);
    memory.reset();
    exports.setCandidates(
      memory.put(ratios),
      ratios.length,
      memory.put(shifts),
      shifts.length,
      memory.put(near),
      near.length,
      refits,
    );
    const importanceAt = importance ? memory.put(importance) : 0;
    const input = memory.put(bytes.subarray(first * blockBytes, (first + size) * blockBytes));
    const room = memory.take(48 * block);
    const qAt = memory.take(size * codeBytes);
    const scalesAt = memory.put(scales.subarray(first, first + size));
    const zerosAt = memory.put(zeros.subarray(first, first + size));
    const failed = exports.quantize(
      input,
      DTYPES[dtype],
      size,
      block,
      bits,
      Number(symmetric),
      Number(floatZero),
      ALGORITHMS[algorithm],
      limit,
      importanceAt,
      perRow,
      room,
      qAt,
      scalesAt,
      zerosAt,
    );
    if (failed >= 0) return { block: first + failed, fault: faultOf(bytes, dtype, first + failed, form) };
    q.set(memory.bytes(qAt, size * codeBytes), first * codeBytes);
    scales.set(memory.floats(scalesAt, size), first);
    zeros.set(memory.floats(zerosAt, size), first);
  }
  return undefined;
}

/** @param {Uint8Array} bytes @param {Blocks['dtype']} dtype @param {number} index @param {Blocks['form']} form */
function faultOf(bytes, dtype, index, form) {
  const w = new Float32Array(form.block);
  widen(bytes, dtype, index * form.block, w);
  const choice = { scale: 0, zero: 0, fault: FAULT_NON_FINITE };
  roundToNearest(w, form, choice, { low: 0, high: 0, step: 0 });
  return choice.fault;
}

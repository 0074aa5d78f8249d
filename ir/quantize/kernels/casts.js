// @ts-check

/** @typedef {import('./simd.js').Exports} Exports */

/**
 * Converts `count` elements; returns bytes of the target dtype, which may be the source's memory. @typedef {(source:
 * Uint8Array, count: number) => Uint8Array} Cast
 */

/** Vectors hold eight results. */
const MULTIPLE = 8;
/** Elements that go through the module's memory at once: they stay in a core's cache. */
const TILE = 32768;
/** Below lie the module's own data. */
const FIRST_FREE = 1024;

/**
 * Casts to 16 bits with vectors: 2 to 5 times as fast as in ../../views/convert.ts, with the same bits.
 * @param {Exports} exports
 * @returns {Readonly<Record<'f32 to f16' | 'f32 to bf16' | 'bf16 to f16', Cast>>}
 */
export function castKernels(exports) {
  const needed = FIRST_FREE + 6 * TILE;
  const missing = needed - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / 65536));
  return {
    'f32 to f16': cast(exports, exports.halfFromSingle, 4),
    'f32 to bf16': cast(exports, exports.bfloatFromSingle, 4),
    'bf16 to f16': cast(exports, exports.halfFromBfloat, 2),
  };
}

/**
 * @param {Exports} exports
 * @param {(from: number, to: number, count: number) => void} kernel
 * @param {2 | 4} size bytes of a source element
 * @returns {Cast}
 */
function cast({ memory }, kernel, size) {
  const to = FIRST_FREE + 4 * TILE;
  return (source, count) => {
    const out = size === 2 ? source.subarray(0, 2 * count) : new Uint8Array(2 * count);
    const room = new Uint8Array(memory.buffer);
    for (let first = 0; first < count; first += TILE) {
      const elements = Math.min(TILE, count - first);
      room.set(source.subarray(first * size, (first + elements) * size), FIRST_FREE);
      kernel(FIRST_FREE, to, Math.ceil(elements / MULTIPLE) * MULTIPLE);
      out.set(room.subarray(to, to + 2 * elements), 2 * first);
    }
    return out;
  };
}

/*
 * Memory for large arrays, used again: a fresh page costs several times what is computed on it, and the values of a
 * large model are gone as soon as the next are there.
 */

/** Smaller arrays are left to the garbage collector. */
const WORTH_BYTES = 1024 * 1024;
/** What is kept for the next to ask. */
const KEPT_BYTES = 512 * 1024 * 1024;

type Scratch = Float32Array | Float64Array;

/** By length in bytes; the longest unused come first. */
const free = new Map<number, ArrayBuffer[]>();
let kept = 0;
const taken = new WeakSet<Scratch>();

/** An array whose elements are whatever they are. */
export function takeF64(length: number): Float64Array {
  const array = new Float64Array(memoryOf(8 * length));
  taken.add(array);
  return array;
}

/** The same of f32. */
export function takeF32(length: number): Float32Array {
  const array = new Float32Array(memoryOf(4 * length));
  taken.add(array);
  return array;
}

/** Whether an array was taken here, and not yet given back. */
export function isTaken(array: ArrayLike<number>): array is Scratch {
  return taken.has(array as Scratch);
}

/** For whoever asks next: nothing may read or write the array any more. Arrays of others are left alone. */
export function giveBack(array: ArrayLike<number>): void {
  if (!isTaken(array)) return;
  taken.delete(array);
  const { byteLength } = array;
  if (byteLength < WORTH_BYTES) return;
  const same = free.get(byteLength) ?? [];
  same.push(array.buffer as ArrayBuffer);
  free.delete(byteLength);
  free.set(byteLength, same);
  kept += byteLength;
  for (const [length, buffers] of free) {
    while (kept > KEPT_BYTES && buffers.length > 0) {
      buffers.pop();
      kept -= length;
    }
    if (kept <= KEPT_BYTES) break;
    free.delete(length);
  }
}

function memoryOf(byteLength: number): ArrayBuffer {
  const known = free.get(byteLength)?.pop();
  if (!known) return new ArrayBuffer(byteLength);
  kept -= byteLength;
  return known;
}

/** Lets go of all that is kept for the next to ask. */
export function letGo(): void {
  free.clear();
  kept = 0;
}

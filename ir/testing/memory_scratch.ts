import type { Scratch } from '../observe/kept_rows.ts';

/** A scratch file that is memory, and the bytes that were reserved of it. */
export function memoryScratch(): { readonly scratch: Scratch; size(): number } {
  let bytes = new Uint8Array(0);
  return {
    size: () => bytes.byteLength,
    scratch: {
      reserve(byteLength) {
        const offset = bytes.byteLength;
        const grown = new Uint8Array(offset + byteLength);
        grown.set(bytes);
        bytes = grown;
        return offset;
      },
      async write(written, offset) {
        bytes.set(written, offset);
      },
      async *chunks(begin, end) {
        // as files are read: in pieces that are no whole rows
        for (let at = begin; at < end; at += 1000) yield bytes.subarray(at, Math.min(at + 1000, end));
      },
    },
  };
}

import type { Edit } from './places.ts';

/* Changes of a tensor's bytes that leave its size as it is. */

/** Bits of one byte. */
export const flip =
  (byte: number, mask = 1): Edit =>
  (bytes) => {
    bytes[byte]! ^= mask;
  };

/** A row and the one behind it. */
export const swapRows =
  (rowBytes: number, row: number): Edit =>
  (bytes) => {
    const first = bytes.slice(row * rowBytes, (row + 1) * rowBytes);
    bytes.copyWithin(row * rowBytes, (row + 1) * rowBytes, (row + 2) * rowBytes);
    bytes.set(first, (row + 1) * rowBytes);
  };

/** The two codes of a byte. */
export const swapNibbles =
  (byte: number): Edit =>
  (bytes) => {
    bytes[byte] = (bytes[byte]! >> 4) | ((bytes[byte]! & 15) << 4);
  };

/** [rows, columns] of elements of `size` bytes, stored the other way around. */
export const turned =
  (rows: number, columns: number, size: number): Edit =>
  (bytes) => {
    const before = bytes.slice();
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (let byte = 0; byte < size; byte++)
          bytes[(column * rows + row) * size + byte] = before[(row * columns + column) * size + byte]!;
  };

/** What two tensors have in the places of each other: all that both have room for. */
export const exchanged: Edit = (a, b) => {
  const length = Math.min(a.length, b.length);
  const first = a.slice(0, length);
  a.set(b.subarray(0, length));
  b.set(first);
};

/** Bytes [from, from + count) of each row of one tensor and of another. */
export const exchangedColumns =
  (rowBytes: number, from: number, count: number): Edit =>
  (a, b) => {
    for (let at = from; at < a.length; at += rowBytes)
      exchanged(a.subarray(at, at + count), b.subarray(at, at + count));
  };

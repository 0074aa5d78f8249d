import type { TensorData } from '../tensor.ts';

/** Consecutive rows of a matrix with their bytes, which are the consumer's. */
export interface RowRun {
  readonly first: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

/**
 * Rows [begin, end) in runs that end at multiples of `step`. The data is read once from front to back: it may be a
 * transpose.
 */
export async function* rowRuns(data: TensorData, begin: number, end: number, step: number): AsyncGenerator<RowRun> {
  const rowBytes = data.byteLength / data.shape[0]!;
  let first = begin;
  let rows = rowsUntil(first, end, step);
  let bytes = new Uint8Array(rows * rowBytes);
  let filled = 0;
  for await (const chunk of data.chunks({ begin: begin * rowBytes, end: end * rowBytes })) {
    for (let at = 0; at < chunk.byteLength;) {
      const part = chunk.subarray(at, at + Math.min(chunk.byteLength - at, bytes.byteLength - filled));
      bytes.set(part, filled);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled < bytes.byteLength) continue;
      yield { first, rows, bytes };
      first += rows;
      rows = rowsUntil(first, end, step);
      bytes = new Uint8Array(rows * rowBytes);
      filled = 0;
    }
  }
  if (first < end) throw new RangeError(`${first} rows came for ${end}`);
}

function rowsUntil(first: number, end: number, step: number): number {
  return Math.min(end, (Math.floor(first / step) + 1) * step) - first;
}

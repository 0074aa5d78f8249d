import { readBytes, readRange, type TensorData } from '../tensor.ts';

/** Rows of two tensors of one type by turns: [N, …] and [N, …] as [2N, …]. Elements of whole bytes. */
export function interleaveRows(first: TensorData, second: TensorData): TensorData {
  if (first.dtype !== second.dtype || first.shape.join() !== second.shape.join())
    throw new RangeError(
      `${first.dtype}[${first.shape.join(', ')}] and ${second.dtype}[${second.shape.join(', ')}] by turns`,
    );
  const [rows, ...rest] = first.shape as readonly [number, ...number[]];
  const width = first.byteLength / rows;
  const byteLength = 2 * first.byteLength;
  return {
    ...first,
    shape: [2 * rows, ...rest],
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const stop = Math.min(at + maxBytes, end);
        const row = Math.floor(at / width / 2);
        const range = { begin: row * width, end: Math.ceil(stop / width / 2) * width };
        const [even, odd] = [await readBytes(first, range), await readBytes(second, range)];
        const bytes = new Uint8Array(2 * even.byteLength);
        for (let from = 0; from < even.byteLength; from += width) {
          bytes.set(even.subarray(from, from + width), 2 * from);
          bytes.set(odd.subarray(from, from + width), 2 * from + width);
        }
        yield bytes.slice(at - 2 * row * width, stop - 2 * row * width);
      }
    },
  };
}

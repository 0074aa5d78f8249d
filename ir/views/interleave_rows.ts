import { readBytes, readRange, type TensorData } from '../tensor.ts';

/** Rows of two tensors of one type by turns: [N, …] and [N, …] as [2N, …]. Elements of whole bytes. */
export function interleaveRows(first: TensorData, second: TensorData): TensorData {
  if (first.dtype !== second.dtype || first.shape.join() !== second.shape.join()) throw new RangeError(`${first.dtype}[${first.shape.join(', ')}] and ${second.dtype}[${second.shape.join(', ')}] by turns`);
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
        const range = { begin: Math.floor(at / width / 2) * width, end: Math.ceil(stop / width / 2) * width };
        const parts = [await readBytes(first, range), await readBytes(second, range)];
        const bytes = new Uint8Array(stop - at);
        for (let i = 0; i < bytes.byteLength; i++) {
          const row = Math.floor((at + i) / width);
          bytes[i] = parts[row % 2]![Math.floor(row / 2) * width - range.begin + ((at + i) % width)]!;
        }
        yield bytes;
      }
    },
  };
}

import { elementCount, readBytes, readRange, type TensorData } from '../tensor.ts';

/**
 * Each row of u8[N, …] as two rows of u4[2N, …]: the high halves of its bytes, then the low ones, so that both come out of one
 * reading. A code of 8 bits is 16 · high + low.
 */
export function nibbleRows(data: TensorData): TensorData {
  if (data.dtype !== 'u8') throw new RangeError(`halves of ${data.dtype}`);
  const [rows, ...rest] = data.shape as readonly [number, ...number[]];
  const width = elementCount(rest);
  return {
    ...data,
    dtype: 'u4',
    shape: [2 * rows, ...rest],
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(data.byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const stop = Math.min(at + maxBytes, end);
        const first = Math.floor(at / width) * width;
        const source = await readBytes(data, { begin: first, end: Math.ceil(stop / width) * width });
        const halves = new Uint8Array(source.byteLength);
        for (let row = 0; row < source.byteLength; row += width) splitRow(source.subarray(row, row + width), halves.subarray(row, row + width));
        yield halves.subarray(at - first, stop - first);
      }
    },
  };
}

function splitRow(bytes: Uint8Array, halves: Uint8Array): void {
  const width = bytes.byteLength;
  for (let i = 0; i < width; i++) {
    const byte = bytes[i]!;
    halves[i >> 1]! |= (byte >> 4) << (4 * (i & 1));
    halves[(width + i) >> 1]! |= (byte & 15) << (4 * ((width + i) & 1));
  }
}

import { elementCount, readBytes, readRange, type TensorData } from '../tensor.ts';

/**
 * Each row of u8[N, …] as two rows of u4[2N, …]: the high halves of its bytes, then the low ones, so that both come out
 * of one reading. A code of 8 bits is 16 · high + low.
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
        for (let row = 0; row < source.byteLength; row += width)
          splitRow(source.subarray(row, row + width), halves.subarray(row, row + width));
        yield halves.slice(at - first, stop - first);
      }
    },
  };
}

function splitRow(bytes: Uint8Array, halves: Uint8Array): void {
  const width = bytes.byteLength;
  const half = width >> 1;
  if (width % 2 === 0) {
    for (let i = 0, at = 0; i < half; i++, at += 2) {
      const first = bytes[at]!;
      const second = bytes[at + 1]!;
      halves[i] = (first >> 4) | (second & 0xf0);
      halves[half + i] = (first & 15) | ((second & 15) << 4);
    }
    return;
  }
  // the low halves of an odd row begin within a byte
  for (let i = 0; i < width; i++) {
    halves[i >> 1]! |= (bytes[i]! >> 4) << (4 * (i & 1));
    halves[(width + i) >> 1]! |= (bytes[i]! & 15) << (4 * ((width + i) & 1));
  }
}

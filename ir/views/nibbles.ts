import { byteLengthOf } from '../dtypes/index.ts';
import { elementCount, readBytes, readRange, type TensorData } from '../tensor.ts';

/** One half of each byte as u4 elements of the same shape: a code of 8 bits is 16 · high + low. */
export function nibbles(data: TensorData, half: 'high' | 'low'): TensorData {
  if (data.dtype !== 'u8') throw new RangeError(`halves of ${data.dtype}`);
  const shift = half === 'high' ? 4 : 0;
  const byteLength = byteLengthOf('u4', elementCount(data.shape));
  return {
    ...data,
    dtype: 'u4',
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const bytes = new Uint8Array(Math.min(maxBytes, end - at));
        const source = await readBytes(data, { begin: 2 * at, end: Math.min(data.byteLength, 2 * (at + bytes.byteLength)) });
        for (let i = 0; i < source.byteLength; i++) bytes[i >> 1]! |= ((source[i]! >> shift) & 15) << (4 * (i & 1));
        yield bytes;
      }
    },
  };
}

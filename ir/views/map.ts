import { dtypes } from '../dtypes/index.ts';
import type { TensorData } from '../tensor.ts';

/** `f` of each element, rounded to the tensor's own dtype. */
export function mapData(data: TensorData, f: (x: number) => number): TensorData {
  const codec = dtypes[data.dtype];
  if (codec.bits < 8) throw new RangeError(`mapData of ${data.dtype}: chunks of it may begin within a byte`);
  return {
    ...data,
    async *chunks(options) {
      for await (const chunk of data.chunks(options)) {
        const count = (chunk.byteLength * 8) / codec.bits;
        const values = codec.allocate(count);
        codec.decode(chunk, count, values, 0);
        for (let i = 0; i < count; i++) values[i] = f(values[i]!);
        codec.encode(values, 0, count, chunk);
        yield chunk;
      }
    },
  };
}

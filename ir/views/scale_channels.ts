import { readRange, type TensorData } from '../tensor.ts';

/** The axis along which channels lie: rows of a matrix, or its columns. A vector has one, which is both. */
export type ChannelAxis = 'first' | 'last';

/** A number for each channel, which are known when the data is read. */
export type Factors = () => Promise<Float64Array>;

/** f32 data with each channel multiplied by its factor, rounded to f32. @throws RangeError for another dtype */
export function scaleChannels(data: TensorData, axis: ChannelAxis, factors: Factors): TensorData {
  const { shape, dtype, byteLength, from } = data;
  const { count, run } = channelsOf(data, axis);
  return {
    dtype,
    shape,
    byteLength,
    ...(from && { from }),
    async *chunks(options) {
      const at = readRange(byteLength, options).begin / 4;
      const by = await factors();
      let channel = Math.floor(at / run) % count;
      let left = run - (at % run);
      for await (const chunk of data.chunks(options)) {
        const values = floatsOf(chunk);
        for (let i = 0; i < values.length; i++) {
          values[i] = values[i]! * by[channel]!;
          if (--left > 0) continue;
          left = run;
          channel = channel + 1 === count ? 0 : channel + 1;
        }
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      }
    },
  };
}

/** Of f32 data the sum of squares of each channel. @throws RangeError for another dtype */
export async function channelSquares(data: TensorData, axis: ChannelAxis): Promise<Float64Array> {
  const { count, run } = channelsOf(data, axis);
  const sums = new Float64Array(count);
  let channel = 0;
  let left = run;
  for await (const chunk of data.chunks())
    for (const x of floatsOf(chunk)) {
      sums[channel]! += x * x;
      if (--left > 0) continue;
      left = run;
      channel = channel + 1 === count ? 0 : channel + 1;
    }
  return sums;
}

/** How many channels there are, and how many elements of one lie side by side. */
function channelsOf({ dtype, shape, byteLength }: TensorData, axis: ChannelAxis): { count: number; run: number } {
  if (dtype !== 'f32') throw new RangeError(`channels of ${dtype} are not scaled: f32 only`);
  const count = (axis === 'first' ? shape[0] : shape.at(-1)) ?? 1;
  return { count, run: axis === 'first' ? byteLength / 4 / count : 1 };
}

function floatsOf(chunk: Uint8Array): Float32Array {
  const bytes = chunk.byteOffset % 4 === 0 ? chunk : chunk.slice();
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

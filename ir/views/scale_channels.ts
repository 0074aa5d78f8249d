import { directReadOf, readRange, rememberDirectRead, type DirectRead, type TensorData } from '../tensor.ts';

/** The axis along which channels lie: rows of a matrix, or its columns. A vector has one, which is both. */
export type ChannelAxis = 'first' | 'last';

/** A number for each channel, which are known when the data is read. */
export type Factors = () => Promise<Float64Array>;

/** f32 data with each channel multiplied by its factor, rounded to f32. @throws RangeError for another dtype */
export function scaleChannels(data: TensorData, axis: ChannelAxis, factors: Factors): TensorData {
  const { shape, dtype, byteLength, from } = data;
  const run = runOf(data, axis);
  const scaled: TensorData = {
    dtype,
    shape,
    byteLength,
    ...(from && { from }),
    async *chunks(options) {
      let at = readRange(byteLength, options).begin / 4;
      const by = await factors();
      for await (const chunk of data.chunks(options)) {
        const values = floatsOf(chunk);
        multiply(values, at, by, run);
        at += values.length;
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      }
    },
  };
  const direct = directReadOf(data);
  return direct ? rememberDirectRead(scaled, scaledRead(direct, factors, run)) : scaled;
}

/** Read where they are wanted, and multiplied there. */
function scaledRead(direct: DirectRead, factors: Factors, run: number): DirectRead {
  return async (out, begin) => {
    const isAligned = out.byteOffset % 4 === 0;
    const bytes = isAligned ? out : new Uint8Array(out.byteLength);
    await direct(bytes, begin);
    multiply(floatsOf(bytes), begin / 4, await factors(), run);
    if (!isAligned) out.set(bytes);
  };
}

/** Of f32 data the sum of squares of each channel. @throws RangeError for another dtype */
export async function channelSquares(data: TensorData, axis: ChannelAxis): Promise<Float64Array> {
  const run = runOf(data, axis);
  const sums = new Float64Array(axis === 'first' ? (data.shape[0] ?? 1) : (data.shape.at(-1) ?? 1));
  let at = 0;
  for await (const chunk of data.chunks()) {
    const values = floatsOf(chunk);
    addSquares(values, at, sums, run);
    at += values.length;
  }
  return sums;
}

/** How many elements of one channel lie side by side. */
function runOf({ dtype, shape, byteLength }: TensorData, axis: ChannelAxis): number {
  if (dtype !== 'f32') throw new RangeError(`channels of ${dtype} are not scaled: f32 only`);
  return axis === 'first' ? byteLength / 4 / (shape[0] ?? 1) : 1;
}

function floatsOf(chunk: Uint8Array): Float32Array {
  const bytes = chunk.byteOffset % 4 === 0 ? chunk : chunk.slice();
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/*
 * Functions of their own, whose loops know neither promise nor generator: those are several times as slow. `values` are
 * elements from `at` on, of rows that are channels or of rows with an element of each.
 */

function multiply(values: Float32Array, at: number, by: Float64Array, run: number): void {
  for (let i = 0; i < values.length;) {
    if (run === 1) {
      const first = (at + i) % by.length;
      const count = Math.min(by.length - first, values.length - i);
      for (let k = 0; k < count; k++) values[i + k] = values[i + k]! * by[first + k]!;
      i += count;
    } else {
      const end = Math.min(values.length, i + run - ((at + i) % run));
      for (const factor = by[Math.floor((at + i) / run)]!; i < end; i++) values[i] = values[i]! * factor;
    }
  }
}

function addSquares(values: Float32Array, at: number, sums: Float64Array, run: number): void {
  for (let i = 0; i < values.length;) {
    if (run === 1) {
      const first = (at + i) % sums.length;
      const count = Math.min(sums.length - first, values.length - i);
      for (let k = 0; k < count; k++) sums[first + k] = sums[first + k]! + values[i + k]! * values[i + k]!;
      i += count;
    } else {
      const channel = Math.floor((at + i) / run);
      const end = Math.min(values.length, i + run - ((at + i) % run));
      let sum = 0;
      for (; i < end; i++) sum += values[i]! * values[i]!;
      sums[channel]! += sum;
    }
  }
}

import { byteLengthOf, dtypes } from '../dtypes/index.ts';
import { directReadOf, elementCount, readRange, rememberDirectRead, type TensorData } from '../tensor.ts';
import { cutRuns, rememberRuns, runsOf } from './runs.ts';

/** The elements from number `first` on, under `shape`: a byte range, nothing is copied. */
export function windowOf(data: TensorData, first: number, shape: readonly number[]): TensorData {
  const start = (first * dtypes[data.dtype].bits) / 8;
  if (!Number.isInteger(start)) throw new RangeError(`element ${first} of ${data.dtype} does not begin a byte`);
  const byteLength = byteLengthOf(data.dtype, elementCount(shape));
  const window: TensorData = {
    dtype: data.dtype,
    shape,
    byteLength,
    ...(data.from && { from: { ...data.from, byteOffset: data.from.byteOffset + start } }),
    chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      return data.chunks({ begin: start + begin, end: start + end, maxBytes });
    },
  };
  const direct = directReadOf(data);
  if (direct) rememberDirectRead(window, (out, begin) => direct(out, start + begin));
  return rememberRuns(window, cutRuns(runsOf(data), first, elementCount(shape)));
}

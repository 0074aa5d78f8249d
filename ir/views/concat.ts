import { byteLengthOf, dtypes } from '../dtypes/index.ts';
import { elementCount, readRange, type TensorData } from '../tensor.ts';
import { castData } from './cast.ts';
import { rememberRuns, runsOf } from './runs.ts';
import { makeView, viewBehind } from './view.ts';

/** Concatenation along the first axis. */
export function concatRows(parts: readonly TensorData[]): TensorData {
  const [first] = parts;
  if (!first) throw new RangeError('nothing to concatenate');
  const tail = first.shape.slice(1);
  for (const part of parts)
    if (part.dtype !== first.dtype || part.shape.slice(1).join() !== tail.join())
      throw new RangeError(
        `${part.dtype}[${part.shape.join(', ')}] does not extend ${first.dtype}[${first.shape.join(', ')}]`,
      );
  const bits = dtypes[first.dtype].bits;
  if (parts.slice(0, -1).some((part) => (elementCount(part.shape) * bits) % 8 !== 0))
    throw new RangeError(`a part of ${first.dtype} ends within a byte`);
  const origins = parts.map(beforeCast);
  if (origins[0]!.dtype !== first.dtype && origins.every((origin) => origin.dtype === origins[0]!.dtype))
    return castData(concatRows(origins), first.dtype);
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const joined: TensorData = {
    dtype: first.dtype,
    shape: [parts.reduce((sum, part) => sum + part.shape[0]!, 0), ...tail],
    byteLength,
    ...(first.from && { from: first.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      let start = 0;
      for (const part of parts) {
        const from = Math.max(begin - start, 0);
        const to = Math.min(end - start, part.byteLength);
        if (from < to) yield* part.chunks({ begin: from, end: to, maxBytes });
        start += part.byteLength;
      }
    },
  };
  return rememberRuns(joined, parts.flatMap(runsOf));
}

/** Zeros, made as they are read. */
export function zeroData(dtype: TensorData['dtype'], shape: readonly number[]): TensorData {
  const byteLength = byteLengthOf(dtype, elementCount(shape));
  const zeros: TensorData = {
    dtype,
    shape,
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) yield new Uint8Array(Math.min(maxBytes, end - at));
    },
  };
  return rememberRuns(zeros, [{ source: undefined, count: elementCount(shape) }]);
}

/** The tensor with zero rows added at its end, up to `rows`. */
export function padRows(data: TensorData, rows: number): TensorData {
  const missing = rows - (data.shape[0] ?? 0);
  if (missing <= 0) return data;
  const origin = beforeCast(data);
  return castData(concatRows([origin, zeroData(origin.dtype, [missing, ...data.shape.slice(1)])]), data.dtype);
}

/** The data that a cast view rounds, when it ends with a byte: joining rows and casting them commute. */
function beforeCast(data: TensorData): TensorData {
  const view = viewBehind(data);
  const endsByte = (elementCount(data.shape) * dtypes[view.source.dtype].bits) % 8 === 0;
  return view.dtype === view.source.dtype || !endsByte ? data : makeView({ ...view, dtype: view.source.dtype });
}

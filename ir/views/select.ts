import { readRange, type TensorData } from '../tensor.ts';
import { byteLengthOf } from '../dtypes/index.ts';
import { elementCount } from '../tensor.ts';

/** `data[begin:end]` along the first axis: a byte range, nothing is copied. */
export function sliceRows(data: TensorData, begin: number, end: number): TensorData {
  const rows = data.shape[0] ?? 0;
  if (begin < 0 || begin > end || end > rows) throw new RangeError(`rows ${begin}..${end} of ${rows}`);
  return byteWindow(data, begin, [end - begin, ...data.shape.slice(1)]);
}

/** `data[index]`: drops the first axis. */
export function selectRow(data: TensorData, index: number): TensorData {
  const rows = data.shape[0] ?? 0;
  if (index < 0 || index >= rows) throw new RangeError(`row ${index} of ${rows}`);
  return byteWindow(data, index, data.shape.slice(1));
}

/** The same bytes under another shape of the same size. */
export function reshapeData(data: TensorData, shape: readonly number[]): TensorData {
  if (elementCount(shape) !== elementCount(data.shape)) throw new RangeError(`[${data.shape.join(', ')}] as [${shape.join(', ')}]`);
  return { ...windowOf(data, 0, data.byteLength), shape };
}

function byteWindow(data: TensorData, row: number, shape: readonly number[]): TensorData {
  const rowElements = elementCount(data.shape.slice(1));
  const start = byteLengthOf(data.dtype, row * rowElements);
  return { ...windowOf(data, start, byteLengthOf(data.dtype, elementCount(shape))), shape };
}

function windowOf(data: TensorData, start: number, byteLength: number): TensorData {
  return {
    dtype: data.dtype,
    shape: data.shape,
    byteLength,
    ...(data.from && { from: { ...data.from, byteOffset: data.from.byteOffset + start } }),
    chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      return data.chunks({ begin: start + begin, end: start + end, maxBytes });
    },
  };
}

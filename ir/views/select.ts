import { dtypes } from '../dtypes/index.ts';
import { elementCount, type TensorData } from '../tensor.ts';
import { stackedRow } from './stack.ts';
import { isStraight, makeView, viewBehind } from './view.ts';
import { windowOf } from './window.ts';

/** `data[begin:end]` along the first axis: a byte range, nothing is copied. */
export function sliceRows(data: TensorData, begin: number, end: number): TensorData {
  const rows = data.shape[0] ?? 0;
  if (begin < 0 || begin > end || end > rows) throw new RangeError(`rows ${begin}..${end} of ${rows}`);
  return begin === 0 && end === rows ? data : rowWindow(data, begin, [end - begin, ...data.shape.slice(1)]);
}

/** `data[index]`: drops the first axis. */
export function selectRow(data: TensorData, index: number): TensorData {
  const rows = data.shape[0] ?? 0;
  if (index < 0 || index >= rows) throw new RangeError(`row ${index} of ${rows}`);
  return stackedRow(data, index) ?? rowWindow(data, index, data.shape.slice(1));
}

/** The same elements in C order under another shape of the same size. */
export function reshapeData(data: TensorData, shape: readonly number[]): TensorData {
  if (elementCount(shape) !== elementCount(data.shape))
    throw new RangeError(`[${data.shape.join(', ')}] as [${shape.join(', ')}]`);
  return makeView({ ...viewBehind(data), shape });
}

/** The window is taken of the source, under the cast, so that casts still meet. */
function rowWindow(data: TensorData, row: number, shape: readonly number[]): TensorData {
  const first = row * elementCount(data.shape.slice(1));
  const view = viewBehind(data);
  const beginsByte = (first * dtypes[view.source.dtype].bits) % 8 === 0;
  const source = isStraight(view) && beginsByte ? view.source : data;
  return makeView({ ...viewBehind(windowOf(source, first, shape)), dtype: data.dtype });
}

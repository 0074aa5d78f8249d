import type { TensorData } from '../tensor.ts';
import { concatRows } from './concat.ts';
import { makeView, viewBehind } from './view.ts';

const rowsOf = new WeakMap<TensorData, readonly TensorData[]>();

/**
 * Tensors of one shape along a new first axis, as `numpy.stack` joins them. Reading a row reads that part only.
 * @throws RangeError for none, or for parts of another shape or dtype.
 */
export function stackData(parts: readonly TensorData[]): TensorData {
  const data = concatRows(parts.map((part) => makeView({ ...viewBehind(part), shape: [1, ...part.shape] })));
  rowsOf.set(data, parts);
  return data;
}

/** The part that became row `index`: it knows where it came from, which a byte range of the stack does not. */
export function stackedRow(data: TensorData, index: number): TensorData | undefined {
  return rowsOf.get(data)?.[index];
}

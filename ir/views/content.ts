import { elementCount, type TensorData } from '../tensor.ts';
import { isOfZeros, isZeros, runsOf, type Run } from './runs.ts';
import { isStraight, viewBehind } from './view.ts';

/** Numbers of the sources that keys speak of. */
const numbers = new WeakMap<TensorData, number>();
let known = 0;

/**
 * Two tensors with one key hold the same bytes: the same elements of the same sources under the same shape, dtype and
 * permutation. Tensors with different keys may be equal as well: nothing is read.
 */
export function contentKey(data: TensorData): string {
  const view = viewBehind(data);
  const { source, perm, dtype } = view;
  const order = isStraight(view) ? '' : ` of [${source.shape.join()}] by ${perm.join()}`;
  return `${dtype}[${data.shape.join()}]${order} ${runsOf(source).map(runKey).join('+')}`;
}

/**
 * Rows of the first axis before the zeros that were joined to its end, or before what those became as codes: of a table
 * that zeros fill up, its own. All rows of other data.
 */
export function rowsBeforeFill(data: TensorData): number {
  const view = viewBehind(data);
  const rows = data.shape[0] ?? 0;
  const runs = runsOf(view.source);
  const last = runs.at(-1);
  if (!isStraight(view) || runs.length < 2 || !last || !isOfZeros(last)) return rows;
  const filled = last.count / elementCount(data.shape.slice(1));
  return Number.isInteger(filled) ? rows - filled : rows;
}

function runKey(run: Run): string {
  return isZeros(run) ? `0*${run.count}` : `${numberOf(run.source)}@${run.first}*${run.count}`;
}

function numberOf(source: TensorData): number {
  const number = numbers.get(source) ?? known++;
  numbers.set(source, number);
  return number;
}

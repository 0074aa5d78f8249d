import type { TensorData } from '../tensor.ts';
import { QuantizeError } from './error.ts';

/** A column that calibration never used still counts a thousandth, so that its weights keep their meaning. */
const LEAST = 2 ** -10;

/**
 * Importance of each column (E[x²] of its input) relative to the mean, as binary32. Undefined when all are 0.
 * @throws QuantizeError `importance` when it is not one finite number ≥ 0 for each of `columns`
 */
export function relativeImportance(
  importance: ArrayLike<number>,
  columns: number,
  data: TensorData,
): Float32Array | undefined {
  const hint = 'calibrate again with this checkpoint';
  if (importance.length !== columns)
    throw new QuantizeError('importance', `importance of ${importance.length} columns for ${columns}`, hint, data);
  let sum = 0;
  for (let k = 0; k < columns; k++) {
    const value = importance[k]!;
    if (!(value >= 0 && value < Infinity))
      throw new QuantizeError('importance', `importance ${value} of column ${k}`, hint, data);
    sum += value;
  }
  const mean = sum / columns;
  if (mean === 0) return undefined;
  return Float32Array.from({ length: columns }, (_, k) => Math.max(importance[k]! / mean, LEAST));
}

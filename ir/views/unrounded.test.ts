import { expect, test } from 'vitest';
import { readTensor, tensorData, tensorOf, type TensorData } from '../tensor.ts';
import { castData } from './cast.ts';
import { concatRows, padRows } from './concat.ts';
import { mapData } from './map.ts';
import { sliceRows } from './select.ts';
import { transposeData } from './transpose.ts';
import { unroundedPieces } from './unrounded.ts';

const matrix = (...values: readonly number[]): TensorData =>
  tensorData(tensorOf('f32', [values.length / 2, 2], values));
const HUGE = matrix(1e6, 1, 2, 70000, 3, 4);

/** All elements, sorted: their order is not stated. */
async function unrounded(data: TensorData): Promise<readonly number[]> {
  const pieces = await Promise.all(unroundedPieces(data).map(readTensor));
  return pieces.flatMap((piece) => [...piece.data]).toSorted((a, b) => a - b);
}

test.each<[string, TensorData, readonly number[]]>([
  ['data that is no view', HUGE, [1, 2, 3, 4, 70000, 1e6]],
  ['a cast', castData(HUGE, 'f16'), [1, 2, 3, 4, 70000, 1e6]],
  ['a cast that was widened again', castData(castData(HUGE, 'f16'), 'f32'), [1, 2, 3, 4, 70000, 1e6]],
  ['rows of a transposed cast', transposeData(castData(sliceRows(HUGE, 1, 3), 'f16'), [1, 0]), [2, 3, 4, 70000]],
  ['rows of a cast', sliceRows(castData(HUGE, 'f16'), 1, 2), [2, 70000]],
  ['rows of casts of a cast', sliceRows(castData(castData(HUGE, 'f16'), 'f32'), 1, 2), [2, 70000]],
  [
    'casts joined, and zeros behind them',
    padRows(concatRows([HUGE, HUGE].map((w) => castData(w, 'f16'))), 9),
    [1, 1, 2, 2, 3, 3, 4, 4, 70000, 70000, 1e6, 1e6],
  ],
  [
    'a cast of what is computed',
    castData(
      mapData(HUGE, (x) => x + 1),
      'f16',
    ),
    [2, 3, 4, 5, 70001, 1e6 + 1],
  ],
])('%s', async (_, data, expected) => {
  expect(await unrounded(data)).toEqual(expected);
});

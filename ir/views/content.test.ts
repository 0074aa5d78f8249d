import { expect, test } from 'vitest';
import { tensorData, tensorOf } from '../tensor.ts';
import { castData } from './cast.ts';
import { concatRows, padRows, zeroData } from './concat.ts';
import { contentKey, rowsBeforeFill } from './content.ts';
import { reshapeData, sliceRows } from './select.ts';
import { transposeData } from './transpose.ts';

const source = tensorData(
  tensorOf(
    'f32',
    [6, 4],
    Array.from({ length: 24 }, (_, i) => i),
  ),
);
const sameKey = (a: Parameters<typeof contentKey>[0], b: Parameters<typeof contentKey>[0]) =>
  contentKey(a) === contentKey(b);

test('views of the same elements have one key', () => {
  expect(sameKey(sliceRows(source, 0, 5), sliceRows(source, 0, 5))).toBe(true);
  expect(sameKey(sliceRows(sliceRows(source, 1, 6), 1, 3), sliceRows(source, 2, 4))).toBe(true);
  expect(sameKey(castData(sliceRows(source, 0, 5), 'f16'), sliceRows(castData(source, 'f16'), 0, 5))).toBe(true);
  expect(sameKey(sliceRows(padRows(sliceRows(source, 0, 5), 8), 0, 5), sliceRows(source, 0, 5))).toBe(true);
  expect(sameKey(concatRows([sliceRows(source, 0, 2), sliceRows(source, 2, 6)]), reshapeData(source, [6, 4]))).toBe(
    true,
  );
  expect(sameKey(transposeData(source, [1, 0]), transposeData(source, [1, 0]))).toBe(true);
});

test('other elements, shapes, dtypes and orders have others', () => {
  expect(sameKey(sliceRows(source, 0, 5), sliceRows(source, 1, 6))).toBe(false);
  expect(sameKey(reshapeData(source, [4, 6]), source)).toBe(false);
  expect(sameKey(castData(source, 'f16'), source)).toBe(false);
  expect(sameKey(transposeData(source, [1, 0]), reshapeData(source, [4, 6]))).toBe(false);
  expect(sameKey(padRows(source, 8), padRows(source, 7))).toBe(false);
  expect(sameKey(tensorData(tensorOf('f32', [1], [1])), tensorData(tensorOf('f32', [1], [1])))).toBe(false);
});

test('rows that were added as zeros are told from those before', () => {
  expect(rowsBeforeFill(padRows(source, 9))).toBe(6);
  expect(rowsBeforeFill(castData(padRows(source, 9), 'f16'))).toBe(6);
  expect(rowsBeforeFill(sliceRows(padRows(source, 9), 0, 7))).toBe(6);
  expect(rowsBeforeFill(source)).toBe(6);
  const within = concatRows([source, zeroData('f32', [1, 4]), source]);
  expect(rowsBeforeFill(within)).toBe(13);
  expect(rowsBeforeFill(padRows(within, 20))).toBe(13);
  expect(rowsBeforeFill(transposeData(padRows(source, 9), [1, 0]))).toBe(4);
});

import { expect, test } from 'vitest';
import type { HeldOutRows } from '../observe/held_out.ts';
import { readTensor, tensorData, tensorOf, type TensorData } from '../tensor.ts';
import { randomTensor } from '../testing/random.ts';
import type { QuantizedMatrix } from './lazy_matrix.ts';
import { leastOutputError } from './least_output_error.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { usualScheme } from './scheme.ts';

const SCHEME = usualScheme('int4');
const matrixOf = (rows: number, columns: number) => tensorData(randomTensor('f32', [rows, columns], 1));
/** Inputs in which one column is all, and others in which another is. */
const only = (columns: number, column: number): HeldOutRows => ({
  columns,
  rows: [1, 2].map((value) => Float32Array.from({ length: columns }, (_, k) => (k === column ? value : 0))),
});
const importance = (columns: number, column: number) =>
  Array.from({ length: columns }, (_, k) => (k === column ? 1000 : 0.001));
const chosenFor = (data: TensorData, ways: readonly [QuantizedMatrix, ...QuantizedMatrix[]], ...kinds: HeldOutRows[]) =>
  leastOutputError(data, 'int4', ways, kinds);
const codesOf = ({ q, scales, zeros }: QuantizedMatrix) => Promise.all([q, scales, zeros!].map(readTensor));

// rows and blocks of which a row of zero points is no whole number of bytes
test.each([
  [16, 96],
  [13, 96],
  [3, 40],
])('%d × %d: the codes that err least on the inputs win', async (rows, columns) => {
  const data = matrixOf(rows, columns);
  const plain = quantizeMatrix(data, SCHEME);
  const forFirst = quantizeMatrix(data, SCHEME, { importance: importance(columns, 0) });
  const forNinth = quantizeMatrix(data, SCHEME, { importance: importance(columns, 9) });
  const first = chosenFor(data, [plain, forFirst, forNinth], only(columns, 0));
  expect(await first.kept()).toBe(1);
  expect(await codesOf(first)).toEqual(await codesOf(forFirst));
  const ninth = chosenFor(data, [plain, forFirst, forNinth], only(columns, 9));
  expect(await codesOf(ninth)).toEqual(await codesOf(forNinth));
  expect(await ninth.kept()).toBe(2);
});

test('no kind of input may lose: what is better for one and worse for another is not taken', async () => {
  const data = matrixOf(16, 96);
  const plain = quantizeMatrix(data, SCHEME);
  const forFirst = quantizeMatrix(data, SCHEME, { importance: importance(96, 0) });
  expect(await codesOf(chosenFor(data, [plain, forFirst], only(96, 0), only(96, 9)))).toEqual(await codesOf(plain));
});

test('equal ways: the first; and nothing is read before it is asked for', async () => {
  const data = matrixOf(8, 32);
  let reads = 0;
  const counted: TensorData = { ...data, chunks: (options) => (reads++, data.chunks(options)) };
  const chosen = chosenFor(counted, [quantizeMatrix(counted, SCHEME), quantizeMatrix(counted, SCHEME)], only(32, 1));
  expect(reads).toBe(0);
  expect([chosen.q.dtype, chosen.q.shape]).toEqual(['u4', [8, 1, 32]]);
  expect(await chosen.kept()).toBe(0);
  expect(await codesOf(chosen)).toEqual(await codesOf(quantizeMatrix(data, SCHEME)));
  expect(reads).toBeGreaterThan(0);
});

test('inputs of other columns are refused', async () => {
  const data = tensorData(tensorOf('f32', [1, 32], new Array<number>(32).fill(1)));
  await expect(readTensor(chosenFor(data, [quantizeMatrix(data, SCHEME)], only(31, 0)).q)).rejects.toThrow(RangeError);
});

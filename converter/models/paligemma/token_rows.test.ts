import { expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { evaluateGraph } from '../../../ir/evaluate.ts';
import { readTensor, tensorData, tensorOf } from '../../../ir/tensor.ts';
import { maskImage, tokenRows } from './token_rows.ts';

const table = tensorData(tensorOf('f32', [5, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
const rowsOf = async (ids: { vocabSize: number; imageTokenId: number }) => [
  ...(await readTensor(tokenRows(table, ids))).data,
];

test('rows of tokens, that of <image> among them zero', async () => {
  expect(await rowsOf({ vocabSize: 3, imageTokenId: 3 })).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await rowsOf({ vocabSize: 4, imageTokenId: 3 })).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(await rowsOf({ vocabSize: 5, imageTokenId: 2 })).toEqual([1, 2, 3, 4, 0, 0, 7, 8, 9, 10]);
});

async function masked(logits: readonly number[], imageTokenId: number) {
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype: 'f32', shape: [1, 4] });
  b.output('y', maskImage(b, x, { vocabSize: 4, imageTokenId }));
  return [...(await evaluateGraph(b.build(), { x: tensorOf('f32', [1, 4], logits) }))['y']!.data];
}

test('<image> is never the largest of a row, and a row of NaN stays one', async () => {
  expect(await masked([1, 50, 2, 3], 1)).toEqual([1, expect.closeTo(-2.3819763e38, -32), 2, 3]);
  expect(await masked([NaN, NaN, NaN, NaN], 1)).toEqual([NaN, NaN, NaN, NaN]);
  expect(await masked([1, 50, 2, 3], 3)).toEqual([1, 50, 2, 3]);
});

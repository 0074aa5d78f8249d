import { expect, test } from 'vitest';
import { tensorOf } from '../ir/tensor.ts';
import { maskedImage, withoutImage } from './image_column.ts';

const ids = { vocabSize: 4, imageTokenId: 1 };
const rows = (...values: readonly number[][]) => tensorOf('f32', [1, values.length, 4], values.flat());

test('the column of <image> gets the smallest of the row, whatever it held', () => {
  const { data } = withoutImage(rows([3, 9, -1, 2], [3, -2e38, 5, 4]), ids);
  expect([...data]).toEqual([3, -1, -1, 2, 3, 3, 5, 4]);
});

test('a row of NaN stays one, and infinities count', () => {
  const { data } = withoutImage(rows([NaN, NaN, NaN, NaN], [1, -2e38, -Infinity, 2]), ids);
  expect([...data]).toEqual([NaN, NaN, NaN, NaN, 1, -Infinity, -Infinity, 2]);
});

test('a bundle masks it, in f32 or f16, and one that does not is refused though it be the smallest', () => {
  for (const mask of [-2.3819763e38, -65504, -Infinity, NaN])
    expect(() => maskedImage(rows([1, mask, 2, 3]), ids, 'bundle')).not.toThrow();
  expect(() => maskedImage(rows([1, -20, 2, 3]), ids, 'bundle')).toThrow(/<image>, token 1, the logit -20/);
});

test('where <image> is the last token, or behind the vocabulary, nothing is done', () => {
  const logits = rows([1, 2, 3, 9]);
  expect(withoutImage(logits, { vocabSize: 4, imageTokenId: 3 })).toBe(logits);
  expect(maskedImage(logits, { vocabSize: 4, imageTokenId: 4 }, 'bundle')).toBe(logits);
});

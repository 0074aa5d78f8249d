import { expect, test } from 'vitest';
import { parseDim } from '../../../ir/dim.ts';
import { dimText, productText, strideTexts } from './wgsl_text.ts';

test('sizes are sums of u32, what is subtracted last', () => {
  expect(
    ['7', 'seq', '2*seq', 'past + seq', 'past + 1', '2*seq - 1', 'past - seq + 3'].map((text) =>
      dimText(parseDim(text)),
    ),
  ).toEqual([
    '7u',
    'dims.seq',
    '2u * dims.seq',
    '(dims.past + dims.seq)',
    '(dims.past + 1u)',
    '(2u * dims.seq - 1u)',
    '(dims.past + 3u - dims.seq)',
  ]);
});

test('products gather their numbers; strides go over the capacity of what grows', () => {
  expect(productText(['2', 'seq', '3', 'past + seq'].map(parseDim))).toBe('dims.seq * (dims.past + dims.seq) * 6u');
  expect(productText([])).toBe('1u');
  expect(strideTexts(['batch', '2', 'past + seq', '8'].map(parseDim))).toEqual([
    'dims.capacity * 16u',
    'dims.capacity * 8u',
    '8u',
    '1u',
  ]);
});

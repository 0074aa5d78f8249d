import { expect, test } from 'vitest';
import { SHAPES_METADATA } from '../testing/shapes.ts';
import { sizeProblem, sizeProblemFor } from './model_sizes.ts';

const LARGEST = {
  ...SHAPES_METADATA,
  imageSize: 896,
  imageTokens: 4096,
  vocabSize: 257_216,
  layers: 46,
  hiddenSize: 4608,
  maxPositions: 8192,
};

test('PaliGemma 2’s 28B passes, in 4 bits too', () => {
  expect(sizeProblem(LARGEST)).toBeUndefined();
  expect(sizeProblemFor(LARGEST, 14e9)).toBeUndefined();
});

test.each([
  'imageSize',
  'imageTokens',
  'vocabSize',
  'layers',
  'kvHeads',
  'headDim',
  'hiddenSize',
  'maxPositions',
] as const)('a %s that nothing has is named', (field) => {
  for (const value of [1e15, Number.MAX_SAFE_INTEGER, Number.NaN])
    expect(sizeProblem({ ...LARGEST, [field]: value })).toContain(`${field} is ${value}`);
});

test('sizes that the files cannot hold are told with both', () => {
  expect(sizeProblemFor(LARGEST, 1e8)).toMatch(
    /46 layers, 257216 tokens and width 4608 has 592837632 bytes at least, the files have 100000000/,
  );
});

import { describe, expect, test } from 'vitest';
import type { ProgramMetadata } from '../ir/graph.ts';
import { tensorOf } from '../ir/tensor.ts';
import { VerifyError } from './error.ts';
import {
  checkPrompt,
  extendMask,
  mergeImageFeatures,
  padLeft,
  positionIds,
  promptMember,
  promptRow,
  type Prompt,
} from './prompt.ts';

const IMAGE = 9;
const metadata: ProgramMetadata = {
  family: 'f',
  variant: 'v',
  imageSize: 2,
  imageTokens: 2,
  imageTokenId: IMAGE,
  vocabSize: 9,
  layers: 1,
  kvHeads: 1,
  headDim: 2,
  hiddenSize: 2,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 16,
};
const images = (count: number) =>
  tensorOf(
    'f32',
    [count, 3, 2, 2],
    Array.from({ length: count * 12 }, (_, i) => Math.floor(i / 12) / 4),
  );
const prompt: Prompt = {
  ...padLeft([promptRow(metadata, [2, 5, 6]), promptRow(metadata, [2], 2), promptRow(metadata, [2])], 0),
  pixelValues: images(4),
  imageTokenId: IMAGE,
};

test('padLeft puts pads before tokens', () => {
  expect([...prompt.inputIds.data]).toEqual([9, 9, 2, 5, 6, 9, 9, 9, 9, 2, 0, 0, 9, 9, 2]);
  expect([...prompt.attentionMask.data]).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1]);
  expect(prompt.inputIds.shape).toEqual([3, 5]);
});

test('positions count tokens from 1 and pads are 1', () => {
  expect([...positionIds(prompt.attentionMask).data]).toEqual([1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 1, 1, 2, 3]);
});

test('positions may begin elsewhere; pads stay at 1', () => {
  expect([...positionIds(prompt.attentionMask, 3, 12).data]).toEqual([14, 15, 16, 14, 15, 16, 12, 13, 14]);
  expect([...positionIds(prompt.attentionMask, 5, 12).data].slice(10, 12)).toEqual([1, 1]);
});

test('a longer mask goes on counting where each row was', () => {
  const longer = extendMask(prompt.attentionMask, 2);
  expect(longer.shape).toEqual([3, 7]);
  expect([...longer.data].slice(14)).toEqual([0, 0, 1, 1, 1, 1, 1]);
  expect([...positionIds(longer, 2).data]).toEqual([6, 7, 6, 7, 4, 5]);
});

test('image features go to the places of image tokens, unscaled and in order', () => {
  const features = tensorOf(
    'f32',
    [4, 2, 2],
    Array.from({ length: 16 }, (_, i) => 100 + i),
  );
  const merged = mergeImageFeatures(tensorOf('f32', [3, 5, 2], new Array(30).fill(7)), features, prompt);
  expect([...merged.data]).toEqual([
    100, 101, 102, 103, 7, 7, 7, 7, 7, 7, 104, 105, 106, 107, 108, 109, 110, 111, 7, 7, 7, 7, 7, 7, 112, 113, 114, 115,
    7, 7,
  ]);
});

test('a member has its own images and no padding', () => {
  const [second, third] = [promptMember(prompt, 1, metadata), promptMember(prompt, 2, metadata)];
  expect(second.pixelValues.shape).toEqual([2, 3, 2, 2]);
  expect([...second.pixelValues.data]).toEqual([...prompt.pixelValues.data.slice(12, 36)]);
  expect([...third.inputIds.data]).toEqual([9, 9, 2]);
  expect([...third.attentionMask.data]).toEqual([1, 1, 1]);
  expect([...third.pixelValues.data]).toEqual([...prompt.pixelValues.data.slice(36)]);
  expect(third).not.toHaveProperty('firstPosition');
  expect(promptMember({ ...prompt, firstPosition: 7 }, 2, metadata).firstPosition).toBe(7);
});

describe('checkPrompt', () => {
  test('accepts what fits', () => {
    expect(() => checkPrompt(prompt, metadata)).not.toThrow();
  });
  test.each([
    ['an image too few', { ...prompt, pixelValues: images(3) }, /8 image tokens for 3 images/],
    [
      'another size',
      { ...prompt, pixelValues: tensorOf('f32', [4, 3, 1, 4], new Array(48).fill(0)) },
      /must be \[images, 3, 2, 2\]/,
    ],
    [
      'a mask of another shape',
      { ...prompt, attentionMask: extendMask(prompt.attentionMask, 1) },
      /must be \[batch, tokens\]/,
    ],
    ['the wrong image token', { ...prompt, imageTokenId: 8 }, /0 image tokens/],
  ])('refuses %s', (_, bad, message) => {
    expect(() => checkPrompt(bad, metadata)).toThrow(message);
    expect(() => checkPrompt(bad, metadata)).toThrow(VerifyError);
  });
  test('refuses more tokens than positions', () => {
    expect(() => checkPrompt(prompt, { ...metadata, maxPositions: 4 })).toThrow(
      expect.objectContaining({ code: 'too_long' }),
    );
  });
  test('the last token may take the last position, and no more', () => {
    expect(() => checkPrompt({ ...prompt, firstPosition: 12 }, metadata)).not.toThrow();
    expect(() => checkPrompt({ ...prompt, firstPosition: 13 }, metadata)).toThrow(
      '5 tokens from position 13 on: the model has 16 positions',
    );
  });
  test.each([0, 1.5, Number.NaN])('refuses a first position of %d', (firstPosition) => {
    expect(() => checkPrompt({ ...prompt, firstPosition }, metadata)).toThrow('the first position is');
  });
});

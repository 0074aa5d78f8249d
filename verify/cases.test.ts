import { expect, test } from 'vitest';
import { caseMember, syntheticCases } from './cases.ts';
import { checkPrompt } from './prompt.ts';
import { countingMetadata } from './testing/counting_runner.ts';

const metadata = {
  ...countingMetadata,
  imageSize: 28,
  imageTokens: 4,
  imageTokenId: 60,
  vocabSize: 60,
  maxPositions: 64,
};

test('cases fit the model and are the same for the same seed', () => {
  const [one, two] = syntheticCases(metadata);
  expect(syntheticCases(metadata)).toEqual([one, two]);
  expect(syntheticCases(metadata, { seed: 2 })[0]!.inputIds).not.toEqual(one!.inputIds);
  for (const verifyCase of [one!, two!]) expect(() => checkPrompt(verifyCase, metadata)).not.toThrow();
  expect(one!.inputIds.shape).toEqual([1, 10]);
  expect(two!.inputIds.shape).toEqual([2, 11]);
  expect([...two!.attentionMask.data].slice(11, 15)).toEqual([0, 0, 0, 1]);
});

test('tokens are of the vocabulary and not special', () => {
  const { inputIds, suffixIds } = syntheticCases(metadata)[0]!;
  expect([...inputIds.data.slice(0, 5)]).toEqual([60, 60, 60, 60, 2]);
  for (const id of [...inputIds.data.slice(5), ...suffixIds!.data]) {
    expect(id).toBeGreaterThan(2);
    expect(id).toBeLessThan(60);
  }
});

test('images are in range and show every swap of axes, channels or rows', () => {
  const { shape, data } = syntheticCases(metadata)[1]!.pixelValues;
  expect(shape).toEqual([2, 3, 28, 28]);
  expect(Math.min(...data)).toBeGreaterThanOrEqual(-1);
  expect(Math.max(...data)).toBeLessThanOrEqual(1);
  const at = (n: number, c: number, y: number, x: number) => data[((n * 3 + c) * 28 + y) * 28 + x]!;
  const gap = (other: (n: number, c: number, y: number, x: number) => number) => {
    let sum = 0;
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++) sum += Math.abs(at(0, c, y, x) - other(0, c, y, x));
    return sum / (3 * 28 * 28);
  };
  expect(gap((n, c, y, x) => at(n, c, x, y))).toBeGreaterThan(0.1);
  expect(gap((n, c, y, x) => at(n, 2 - c, y, x))).toBeGreaterThan(0.1);
  expect(gap((n, c, y, x) => at(n, c, 27 - y, x))).toBeGreaterThan(0.1);
  expect(gap((n, c, y, x) => at(n, c, y, 27 - x))).toBeGreaterThan(0.1);
  expect(gap((_, c, y, x) => at(1, c, y, x))).toBeGreaterThan(0.1);
});

test('a large vocabulary keeps the logits of text only', () => {
  expect(syntheticCases({ ...metadata, vocabSize: 257152, imageTokens: 256 }).map((c) => c.logitsToKeep)).toEqual([
    6, 4,
  ]);
  expect(syntheticCases(metadata).map((c) => c.logitsToKeep)).toEqual([0, 0]);
});

test('a member of a case has its own tokens, image and suffix', () => {
  const two = syntheticCases(metadata)[1]!;
  const second = caseMember(two, 1, metadata);
  expect(second.inputIds.shape).toEqual([1, 8]);
  expect([...second.inputIds.data]).toEqual([...two.inputIds.data.slice(14)]);
  expect([...second.suffixIds!.data]).toEqual([...two.suffixIds!.data.slice(3)]);
  expect(second.pixelValues.data).toEqual(two.pixelValues.data.slice(3 * 28 * 28));
});

test('a retriever also gets queries: text alone, padded, with pad tokens that are read; and it answers nothing', () => {
  const retriever = { ...metadata, retrievalWidth: 128 };
  const [one, two, queries] = syntheticCases(retriever);
  expect(syntheticCases(metadata)).toEqual([one, two].map((read) => ({ ...read, maxNewTokens: 4 })));
  expect([one, two, queries].map((read) => read!.maxNewTokens)).toEqual([0, 0, 0]);
  expect(queries!.pixelValues.shape).toEqual([0, 3, 28, 28]);
  expect(() => checkPrompt(queries!, retriever)).not.toThrow();
  expect([...queries!.attentionMask.data]).toEqual([0, 0, 0, ...Array(17).fill(1)]);
  expect([...queries!.inputIds.data.slice(7, 10)]).toEqual([0, 0, 0]);
  const second = caseMember(queries!, 1, retriever);
  expect([second.inputIds.shape, second.pixelValues.shape, second.pixelValues.data.length]).toEqual([
    [1, 10],
    [0, 3, 28, 28],
    0,
  ]);
});

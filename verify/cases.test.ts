import { describe, expect, test } from 'vitest';
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
  const cases = syntheticCases(metadata);
  expect(syntheticCases(metadata)).toEqual(cases);
  expect(syntheticCases(metadata, { seed: 2 })[0]!.inputIds).not.toEqual(cases[0]!.inputIds);
  for (const verifyCase of cases) expect(() => checkPrompt(verifyCase, metadata)).not.toThrow();
});

describe('one long row', () => {
  test('of a prompt and a cache beyond 300 tokens', () => {
    const [, , long] = syntheticCases({ ...metadata, maxPositions: 8192 });
    expect(long).toMatchObject({ name: 'one long row', inputIds: { shape: [1, 301] }, suffixIds: { shape: [1, 3] } });
  });
  test('of as many as the model has positions: what is read behind it takes the last', () => {
    const [, , long] = syntheticCases(metadata);
    expect([long!.inputIds.shape[1]! + 3, long!.maxNewTokens - 1]).toEqual([64, 3]);
    const [, , longer] = syntheticCases(metadata, { maxNewTokens: 9 });
    expect(longer!.inputIds.shape[1]! + 8).toBe(64);
  });
  test('of two pictures, as far as there is room', () => {
    const [three, , long] = syntheticCases(metadata);
    expect(long!.pixelValues.shape).toEqual([2, 3, 28, 28]);
    expect(three!.pixelValues.shape[0]).toBe(3);
    const [, , alone] = syntheticCases({ ...metadata, maxPositions: 8 + 8 + 2 });
    expect(alone!.pixelValues.shape[0]).toBe(1);
    expect(syntheticCases({ ...metadata, maxPositions: 8 + 8 + 3 })[2]!.pixelValues.shape[0]).toBe(2);
  });
  test('of the batch’s pictures at real size: the tower computes both cases at once', () => {
    const [two, , long] = syntheticCases({
      ...metadata,
      imageTokens: 256,
      layers: 26,
      hiddenSize: 2304,
      maxPositions: 8192,
    });
    expect(long!.pixelValues).toBe(two!.pixelValues);
    expect(long!.inputIds.shape).toEqual([1, 2 * 256 + 8]);
  });
  test('of a few tokens behind pictures that are long themselves', () => {
    const shapes = [1024, 4096].map(
      (imageTokens) => syntheticCases({ ...metadata, imageTokens, maxPositions: 8192 })[2]!.inputIds.shape,
    );
    expect(shapes).toEqual([
      [1, 2056],
      [1, 4104],
    ]);
  });
  test('reads the last id that means nothing of its own', () => {
    expect(syntheticCases(metadata)[2]!.inputIds.data[9]).toBe(59);
    const special = { ...metadata, imageTokenId: 59, padTokenId: 58 };
    expect(syntheticCases(special)[2]!.inputIds.data[9]).toBe(57);
  });
});

test('three rows of different length, the last an empty prompt', () => {
  const { name, inputIds, attentionMask } = syntheticCases(metadata)[0]!;
  expect([name, inputIds.shape]).toEqual(['three rows, left-padded', [3, 11]]);
  const rowOf = (row: number, { data }: { readonly data: ArrayLike<number> }) =>
    Array.from(data).slice(row * 11, (row + 1) * 11);
  expect(rowOf(0, attentionMask)).toEqual(Array(11).fill(1));
  expect(rowOf(1, attentionMask)).toEqual([0, 0, 0, ...Array<number>(8).fill(1)]);
  expect(rowOf(2, inputIds)).toEqual([...Array<number>(6).fill(0), 60, 60, 60, 60, 2]);
  expect(rowOf(2, attentionMask)).toEqual([...Array<number>(6).fill(0), 1, 1, 1, 1, 1]);
});

test('a model of real size has two rows, one of them empty', () => {
  const { name, inputIds, attentionMask } = syntheticCases({
    ...metadata,
    imageTokens: 256,
    layers: 26,
    hiddenSize: 2304,
    maxPositions: 8192,
  })[0]!;
  expect([name, inputIds.shape]).toEqual(['two rows, left-padded', [2, 263]]);
  expect([...attentionMask.data].slice(263).indexOf(1)).toBe(6);
});

test('a few tokens of text that end at the last position', () => {
  for (const maxNewTokens of [4, 9]) {
    const last = syntheticCases({ ...metadata, maxPositions: 8192 }, { maxNewTokens })[1]!;
    expect(last).toMatchObject({ name: 'last positions', pixelValues: { shape: [0, 3, 28, 28] } });
    const read = last.inputIds.shape[1]! + Math.max(3, maxNewTokens - 1);
    expect(last.firstPosition! + read - 1).toBe(8192);
  }
});

test('tokens are of the vocabulary and not special', () => {
  const { inputIds, suffixIds } = syntheticCases(metadata)[2]!;
  expect([...inputIds.data.slice(0, 9)]).toEqual([...Array<number>(8).fill(60), 2]);
  for (const id of [...inputIds.data.slice(9), ...suffixIds!.data]) {
    expect(id).toBeGreaterThan(2);
    expect(id).toBeLessThan(60);
  }
});

test('images are in range and show every swap of axes, channels or rows', () => {
  const { shape, data } = syntheticCases(metadata)[0]!.pixelValues;
  expect(shape).toEqual([3, 3, 28, 28]);
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

test('a large vocabulary keeps the logits of a few last positions only', () => {
  const large = syntheticCases({ ...metadata, vocabSize: 257152, imageTokens: 256, maxPositions: 8192 });
  expect(large.map((c) => c.logitsToKeep)).toEqual([7, 0, 8]);
  expect(syntheticCases(metadata).map((c) => c.logitsToKeep)).toEqual([0, 0, 8]);
});

test('a member of a case has its own tokens, image and suffix', () => {
  const three = syntheticCases(metadata)[0]!;
  const second = caseMember(three, 1, metadata);
  expect(second.inputIds.shape).toEqual([1, 8]);
  expect([...second.inputIds.data]).toEqual([...three.inputIds.data.slice(14, 22)]);
  expect([...second.suffixIds!.data]).toEqual([...three.suffixIds!.data.slice(3, 6)]);
  expect(second.pixelValues.data).toEqual(three.pixelValues.data.slice(3 * 28 * 28, 2 * 3 * 28 * 28));
});

test('a retriever also gets queries: text alone, padded, with pad tokens that are read; and it answers nothing', () => {
  const retriever = { ...metadata, retrievalWidth: 128 };
  const [three, last, long, queries] = syntheticCases(retriever);
  expect(syntheticCases(metadata)).toEqual([three, last, long].map((read) => ({ ...read, maxNewTokens: 4 })));
  expect([three, last, long, queries].map((read) => read!.maxNewTokens)).toEqual([0, 0, 0, 0]);
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

import { expect, test } from 'vitest';
import { randomNumbers, sampleToken, seenIn, TokenSampler } from './sample.ts';
import { samplingOf } from './sampling.ts';

const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0 };
const OPTIONS = [
  GREEDY,
  { ...GREEDY, temperature: 1 },
  { ...GREEDY, temperature: 2, topK: 2 },
  { ...GREEDY, temperature: 2, topP: 0.9 },
  { ...GREEDY, temperature: 1e-6 },
];
const draws = (logits: readonly number[], options: typeof GREEDY) => {
  const random = randomNumbers(3);
  return new Set(Array.from({ length: 200 }, () => sampleToken(Float32Array.from(logits), options, random())));
};

test.each(OPTIONS)('%o: NaN is never chosen, hides nothing, and there is no token where all are', (options) => {
  const none = Number.NaN;
  for (const token of draws([none, 5, none, 5, none], options)) expect([1, 3]).toContain(token);
  expect(draws([none, none, none], options)).toEqual(new Set([3]));
  expect(draws([none, -Infinity, none], options)).toEqual(new Set([1]));
});

test.each(OPTIONS)('%o: infinite logits win', (options) => {
  for (const token of draws([1, Infinity, -Infinity, Infinity, 3], options)) expect([1, 3]).toContain(token);
});

test('the best, the first of equals; a tiny top-p or one token of top-k is greedy', () => {
  const logits = [0.5, 2, 2, -1, 1.5];
  expect(draws(logits, GREEDY)).toEqual(new Set([1]));
  for (const options of [
    { ...GREEDY, temperature: 5, topK: 1 },
    { ...GREEDY, temperature: 5, topP: 1e-12 },
    { ...GREEDY, temperature: 5, topP: Number.MIN_VALUE },
  ])
    expect(draws(logits, options)).toEqual(new Set([1]));
});

test('frequencies are probabilities of what top-k and then top-p leave', () => {
  const logits = Float32Array.from([0.4, 0.3, 0.2, 0.1], Math.log);
  const random = randomNumbers(7);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 7000; i++)
    counts[sampleToken(logits, { temperature: 1, topK: 3, topP: 0.7, minP: 0 }, random())]!++;
  // 0.4 and 0.3 of 0.9 reach 0.7
  expect(counts.slice(2)).toEqual([0, 0]);
  expect(Math.abs(counts[0]! / 7000 - 4 / 7)).toBeLessThan(0.02);
});

test('min-p leaves what has that share of the most likely one’s probability', () => {
  const logits = [0.4, 0.3, 0.2, 0.1].map(Math.log);
  for (const [minP, left] of [
    [0.2, [0, 1, 2, 3]],
    [0.49, [0, 1, 2]],
    [0.74, [0, 1]],
    [1, [0]],
  ] as const)
    expect(draws(logits, { ...GREEDY, temperature: 1, minP }), `${minP}`).toEqual(new Set(left));
});

test('a penalty makes tokens of the prompt and of the answer less likely, in each row its own, padding apart', () => {
  const prompt = { rows: 2, length: 2, inputIds: [9, 0, 1, 1], attentionMask: [0, 1, 1, 1] };
  expect(seenIn(prompt)).toEqual([new Set([0]), new Set([1])]);
  const sampler = new TokenSampler(samplingOf({ repetitionPenalty: 2 }), prompt);
  const logits = Float32Array.of(5, 4, 3, -1);
  const next = (row: number) => sampler.next(row, logits);
  expect([next(0), next(0), next(0)]).toEqual([1, 2, 0]);
  expect([next(1), next(1)]).toEqual([0, 2]);
  // a negative logit becomes smaller still
  const negative = new TokenSampler(samplingOf({ repetitionPenalty: 2 }), { ...prompt, inputIds: [0, 0, 0, 0] });
  expect(negative.next(0, Float32Array.of(-1, -1.5))).toBe(1);
  expect(logits).toEqual(Float32Array.of(5, 4, 3, -1));
});

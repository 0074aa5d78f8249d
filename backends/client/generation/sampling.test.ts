import { describe, expect, test } from 'vitest';
import { samplingOf } from './sampling.ts';

test('greedy by default; nothing is left out', () => {
  const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
  expect(samplingOf({})).toEqual(GREEDY);
  const all = { temperature: 0.7, topK: 40, topP: 0.9, minP: 0.05, repetitionPenalty: 1.2, seed: 3 };
  expect(samplingOf(all)).toEqual(all);
});

test('a temperature that f32 cannot divide by is greedy', () => {
  for (const temperature of [1e-7, 1e-40, Number.MIN_VALUE]) expect(samplingOf({ temperature }).temperature).toBe(0);
  expect(samplingOf({ temperature: 1e-6 }).temperature).toBe(1e-6);
});

test('seeds count modulo 2^32', () => {
  expect(samplingOf({ seed: -1 }).seed).toBe(2 ** 32 - 1);
  expect(samplingOf({ seed: 2 ** 40 + 5 }).seed).toBe(5);
});

describe('options that mean nothing are refused', () => {
  test.each([
    { temperature: -1 },
    { temperature: Number.NaN },
    { temperature: Infinity },
    { topK: -2 },
    { topK: 1.5 },
    { topK: Number.NaN },
    { topK: Infinity },
    { topP: 0 },
    { topP: -0.5 },
    { topP: 7 },
    { topP: Number.NaN },
    { topP: '0.5' as unknown as number },
    { minP: -0.1 },
    { minP: 1.1 },
    { minP: Number.NaN },
    { repetitionPenalty: 0 },
    { repetitionPenalty: -1 },
    { repetitionPenalty: Infinity },
    { repetitionPenalty: Number.NaN },
    { seed: 0.5 },
    { seed: Number.NaN },
    { seed: Infinity },
  ])('%o', (options) => {
    expect(() => samplingOf(options)).toThrow(expect.objectContaining({ code: 'bad_input' }));
  });
});

import { expect, test } from 'vitest';
import { standardError } from '../../../verify/metrics.ts';
import { isBeyondError, meanOverCases, pairedDifference } from './paired.ts';

const cases = (...sums: readonly number[]) => sums.map((sum) => ({ sum, positions: 1 }));

test('cases of one position each have the usual mean and standard error', () => {
  const values = [1, 2, 4, 9];
  expect(meanOverCases(cases(...values)).mean).toBe(4);
  expect(meanOverCases(cases(...values)).error).toBeCloseTo(standardError(values), 12);
});

test('positions of one case that err together count as one', () => {
  const long = [1, 2, 4, 9].map((value) => ({ sum: 25 * value, positions: 25 }));
  expect(meanOverCases(long)).toEqual(meanOverCases(cases(1, 2, 4, 9)));
});

test('a long case weighs more than a short one', () => {
  const { mean } = meanOverCases([
    { sum: 9, positions: 9 },
    { sum: 3, positions: 1 },
  ]);
  expect(mean).toBe(1.2);
});

test('what all cases share is no error of a difference', () => {
  expect(pairedDifference(cases(1, 5, 90), cases(2, 6, 91))).toEqual({ mean: 1, error: 0 });
  expect(() => pairedDifference(cases(1, 2), cases(1))).toThrow(RangeError);
  expect(() => pairedDifference(cases(1), [{ sum: 1, positions: 2 }])).toThrow(RangeError);
});

test('worse by more than its error, and what cannot be told', () => {
  expect(isBeyondError({ mean: 2, error: 1 })).toBe(true);
  expect(isBeyondError({ mean: 1, error: 2 })).toBe(false);
  expect(isBeyondError({ mean: -2, error: 1 })).toBe(false);
  expect(isBeyondError({ mean: 0, error: 0 })).toBe(false);
  // an infinite divergence, or one case alone
  expect(isBeyondError({ mean: Infinity, error: NaN })).toBe(true);
  expect(isBeyondError({ mean: -1, error: NaN })).toBe(true);
});

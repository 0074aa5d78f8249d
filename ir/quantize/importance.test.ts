import { expect, test } from 'vitest';
import { bytesData } from '../tensor.ts';
import { relativeImportance } from './importance.ts';

const data = bytesData('f32', [1, 4], new Uint8Array(16));

test('importance is relative to the mean, and no column loses all of it', () => {
  expect([...relativeImportance([1, 2, 3, 10], 4, data)!]).toEqual([0.25, 0.5, 0.75, 2.5]);
  expect([...relativeImportance([0, 0, 0, 8], 4, data)!]).toEqual([2 ** -10, 2 ** -10, 2 ** -10, 4]);
});

test('where nothing was measured there is none', () => {
  expect(relativeImportance([0, 0, 0, 0], 4, data)).toBeUndefined();
});

test.each([
  ['too few columns', [1, 2, 3], /importance of 3 columns for 4/],
  ['too many', [1, 2, 3, 4, 5], /importance of 5 columns for 4/],
  ['a negative one', [1, -1, 3, 4], /importance -1 of column 1/],
  ['one that is no number', [1, 2, NaN, 4], /importance NaN of column 2/],
  ['an infinite one', [1, 2, 3, Infinity], /importance Infinity of column 3/],
])('%s', (_, importance, message) => {
  expect(() => relativeImportance(importance, 4, data)).toThrow(message);
});

import { expect, test } from 'vitest';
import { randomSource } from '../ir/random_source.ts';
import { f16Ulp, f32MaxAbs, f32RelativeL2 } from './rounding.ts';

const tiny = { layers: 3, hiddenSize: 64 };
const gemma2b = { layers: 18, hiddenSize: 2048 };

test('the bound of f32 is 1e-4 at tiny scale and 1e-3 at 3B, and grows between', () => {
  expect(f32MaxAbs(tiny)).toBe(1e-4);
  expect(f32MaxAbs({ layers: 1, hiddenSize: 8 })).toBe(1e-4);
  expect(f32MaxAbs({ layers: 4, hiddenSize: 128 })).toBeCloseTo(1.63e-4, 6);
  expect(f32MaxAbs(gemma2b)).toBe(1e-3);
});

test('the relative bound of f32 is what sums of that length err by, simulated; for a 3B it is above what one was measured at', () => {
  const random = randomSource(11);
  const [sums, terms] = [200, 8 * 64];
  let [errors, squares] = [0, 0];
  for (let i = 0; i < sums; i++) {
    let [exact, rounded] = [0, 0];
    for (let k = 0; k < terms; k++) {
      const term = Math.fround(random() - 0.5);
      exact += term;
      rounded = Math.fround(rounded + term);
    }
    errors += (rounded - exact) ** 2;
    squares += exact ** 2;
  }
  // one layer of width 64; the bound is three times as much, and 1e-5 at least
  const simulated = Math.sqrt(errors / squares);
  expect(simulated / ((2 ** -24 / Math.sqrt(3)) * Math.sqrt(terms / 2))).toBeCloseTo(1, 0);
  expect(f32RelativeL2(tiny)).toBe(1e-5);
  expect(f32RelativeL2(gemma2b)).toBeCloseTo(3 * 9.6e-6, 6);
  expect(f32RelativeL2({ layers: 46, hiddenSize: 4608 })).toBeLessThan(1e-4);
});

test.each([
  [1, 2 ** -10],
  [-1.99, 2 ** -10],
  [40, 2 ** -5],
  [65504, 32],
  [0, 2 ** -24],
  [1e-6, 2 ** -24],
])('one f16 unit at %f', (x, ulp) => {
  expect(f16Ulp(x)).toBe(ulp);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sampleWeights, type ResizeKernel } from './sample_weights.ts';

const TRIANGLE: ResizeKernel = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

const taps = (from: number, to: number) => {
  const { stride, first, count, weights } = sampleWeights(from, to, TRIANGLE);
  return Array.from(first, (begin, i) => [begin, ...weights.subarray(i * stride, i * stride + count[i]!)]);
};

describe('sampleWeights', () => {
  test('halving stretches the triangle over four pixels, cut at the edges', () => {
    expect(taps(6, 3)).toEqual([
      [0, 3 / 7, 3 / 7, 1 / 7],
      [1, 1 / 8, 3 / 8, 3 / 8, 1 / 8],
      [3, 1 / 7, 3 / 7, 3 / 7],
    ]);
  });

  test('doubling blends the two neighbours 3 to 1', () => {
    expect(taps(2, 4)).toEqual([
      [0, 1],
      [0, 0.75, 0.25],
      [0, 0.25, 0.75],
      [1, 1],
    ]);
  });

  test('weights sum to 1 and read only pixels that exist, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (from, to) => {
        const { stride, first, count, weights } = sampleWeights(from, to, TRIANGLE);
        for (let i = 0; i < to; i++) {
          const sum = weights.subarray(i * stride, i * stride + count[i]!).reduce((a, b) => a + b, 0);
          if (
            !(
              count[i]! >= 1 &&
              count[i]! <= stride &&
              first[i]! >= 0 &&
              first[i]! + count[i]! <= from &&
              Math.abs(sum - 1) < 1e-12
            )
          )
            throw new Error(`output ${i}`);
        }
      }),
    );
  });

  test('no side may be empty', () => {
    expect(() => sampleWeights(0, 3, TRIANGLE)).toThrow(RangeError);
    expect(() => sampleWeights(3, Number.NaN, TRIANGLE)).toThrow(RangeError);
  });
});

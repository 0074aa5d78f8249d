import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tensorOf } from '../ir/tensor.ts';
import { agreement, choose, compareChoices, difference, klDivergence } from './metrics.ts';
import { rowsOf } from './rows.ts';

const rows = (...values: number[][]) =>
  rowsOf({ dtype: 'f32', shape: [values.length, values[0]!.length], data: Float64Array.from(values.flat()) });

describe('difference', () => {
  test('measures by hand-computed values', () => {
    const found = difference(rows([1, 2], [3, 4.5]), rows([1, 2], [3, 4]), 0.1);
    expect(found).toMatchObject({ maxAbs: 0.5, nonFinite: 0, worst: 3, first: 3 });
    expect(found.relativeL2).toBeCloseTo(0.5 / Math.sqrt(30), 12);
    expect(found.cosine).toBeCloseTo((1 + 4 + 9 + 18) / Math.sqrt(34.25 * 30), 12);
  });

  test('cosine is blind to scale, relative L2 is not', () => {
    const found = difference(rows([2, 4]), rows([1, 2]));
    expect(found.cosine).toBeCloseTo(1, 12);
    expect(found.relativeL2).toBe(1);
  });

  test.each([
    ['NaN for a number', Number.NaN, 1],
    ['infinity for a number', Infinity, 1],
    ['a number for infinity', 1, Infinity],
    ['the other infinity', -Infinity, Infinity],
    ['NaN for infinity', Number.NaN, Infinity],
  ])('%s is counted and infinitely far', (_, candidate, reference) => {
    expect(difference(rows([0, candidate]), rows([0, reference]), 1e9)).toMatchObject({
      nonFinite: 1,
      maxAbs: Infinity,
      worst: 1,
      first: 1,
    });
  });

  test('what the reference has too is no difference', () => {
    expect(difference(rows([Number.NaN, Infinity, -0]), rows([Number.NaN, Infinity, 0]))).toMatchObject({
      nonFinite: 0,
      maxAbs: 0,
      relativeL2: 0,
      worst: undefined,
      first: undefined,
    });
  });

  test('rows that do not count are not seen', () => {
    const select = { columns: 2, valid: [true, false] };
    const pair = [
      tensorOf('f32', [2, 3], [1, 2, 99, 5, 6, 7]),
      tensorOf('f32', [2, 3], [1, 2, 0, Number.NaN, 0, 0]),
    ] as const;
    expect(difference(rowsOf(pair[0], select), rowsOf(pair[1], select)).maxAbs).toBe(0);
    expect(() => difference(rowsOf(pair[0], select), rowsOf(pair[1]))).toThrow(RangeError);
  });
});

describe('klDivergence', () => {
  test('equals the definition', () => {
    const p = [0.7, 0.2, 0.1];
    const q = [0.5, 0.3, 0.2];
    const expected = p.reduce((sum, x, i) => sum + x * Math.log(x / q[i]!), 0);
    expect(klDivergence(rows(q.map((x) => Math.log(x) + 3)), rows(p.map(Math.log)), 0)).toBeCloseTo(expected, 12);
  });

  test('is stable at large logits and with masked ones', () => {
    expect(klDivergence(rows([1e4, 1e4 + 1]), rows([0, 1]), 0)).toBeCloseTo(0, 10);
    expect(klDivergence(rows([0, -Infinity]), rows([0, -Infinity]), 0)).toBe(0);
    expect(klDivergence(rows([0, -Infinity]), rows([0, 0]), 0)).toBe(Infinity);
    expect(klDivergence(rows([0, Number.NaN]), rows([0, 0]), 0)).toBe(Infinity);
  });

  test('is never negative, and zero under a shift of all logits', () => {
    const logits = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(logits, logits, fc.double({ min: -100, max: 100, noNaN: true }), (a, b, shift) => {
        const n = Math.min(a.length, b.length);
        expect(klDivergence(rows(a.slice(0, n)), rows(b.slice(0, n)), 0)).toBeGreaterThanOrEqual(0);
        expect(klDivergence(rows(a.map((x) => x + shift)), rows(a), 0)).toBeLessThan(1e-10);
      }),
    );
  });
});

describe('choose', () => {
  test.each([
    [[1, 5, 3], { token: 1, logit: 5, margin: 2 }],
    [[5, 5, 3], { token: 0, logit: 5, margin: 0 }],
    [[-2, -7], { token: 0, logit: -2, margin: 5 }],
    [[4], { token: 0, logit: 4, margin: Infinity }],
    [[1, Number.NaN, 3], { token: 2, logit: 3, margin: Number.NaN }],
    [[Number.NaN, 1, 3], { token: 2, logit: 3, margin: Number.NaN }],
  ])('%j', (logits, expected) => {
    expect(choose(rows(logits), 0)).toEqual(expected);
  });
});

describe('ties', () => {
  const margin = () => 0.01;
  const verdict = (candidate: number[], reference: number[]) =>
    compareChoices(choose(rows(candidate), 0), rows(reference), 0, margin);

  test('forgive a token that the reference rates as high', () => {
    expect(verdict([1, 1.005, 0], [1.005, 1, 0])).toBe('tie');
    expect(verdict([1, 1.2, 0], [1.2, 1, 0])).toBe('different');
  });
  test('do not forgive a third token', () => {
    expect(verdict([0, 0, 5], [1.005, 1, 0])).toBe('different');
  });
  test('do not forgive NaN', () => {
    expect(verdict([1, Number.NaN, 0], [1.005, 1, 0])).toBe('different');
  });
});

test('agreement: nearest-rank percentile, share of equal tokens, ties', () => {
  const reference = rows(...Array.from({ length: 100 }, () => [0, 1]));
  const candidate = rows(...Array.from({ length: 100 }, (_, i) => (i < 97 ? [0, 1] : i === 97 ? [0, 2] : [3, 1])));
  const found = agreement(candidate, reference, () => 0.5);
  const off = klDivergence(rows([3, 1]), rows([0, 1]), 0);
  expect(found).toMatchObject({ sameTop1: 0.98, ties: 0, rows: 100, maxKld: off, kld99: off });
  expect(found.meanKld).toBeCloseTo((2 * off + klDivergence(rows([0, 2]), rows([0, 1]), 0)) / 100, 12);
  expect(agreement(candidate, reference, () => 1.5)).toMatchObject({ sameTop1: 1, ties: 2 });
  expect(agreement(rows([Number.NaN, 1]), rows([0, 1]), () => 9)).toMatchObject({ sameTop1: 0, meanKld: Infinity });
});

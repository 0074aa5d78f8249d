import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addDims,
  evaluateDim,
  mulDims,
  parseDim,
  printDim,
  sameDim,
  sameProduct,
  scaleDim,
  subDims,
  sym,
  symbolsOf,
  type Dim,
} from './dim.ts';

const NAMES = ['batch', 'seq', 'past'] as const;
const coefficient = fc.integer({ min: -9, max: 9 });
const dimension: fc.Arbitrary<Dim> = fc
  .tuple(coefficient, coefficient, coefficient, fc.integer({ min: -99, max: 99 }))
  .map(([a, b, c, offset]) => [a, b, c].reduce<Dim>((sum, k, i) => addDims(sum, scaleDim(sym(NAMES[i]!), k)), offset));
const bindings = fc
  .tuple(fc.nat(50), fc.nat(50), fc.nat(50))
  .map((values) => new Map(NAMES.map((name, i) => [name, values[i]!])));

test('sums, differences and multiples are those of the values', () => {
  fc.assert(
    fc.property(dimension, dimension, coefficient, bindings, (a, b, k, values) => {
      const at = (d: Dim) => evaluateDim(d, values);
      expect(at(addDims(a, b))).toBe(at(a) + at(b));
      expect(at(subDims(a, b))).toBe(at(a) - at(b));
      expect(at(scaleDim(a, k))).toBe(at(a) * k + 0);
      const product = mulDims(a, b);
      if (product !== undefined) expect(at(product)).toBe(at(a) * at(b) + 0);
      else expect(symbolsOf(a).length > 0 && symbolsOf(b).length > 0).toBe(true);
    }),
  );
});

test('equality is decided: equal when, and only when, no binding tells them apart', () => {
  fc.assert(
    fc.property(dimension, dimension, (a, b) => {
      const points = [
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ].map((values) => new Map(NAMES.map((name, i) => [name, values[i]!])));
      expect(sameDim(a, b)).toBe(points.every((values) => evaluateDim(a, values) === evaluateDim(b, values)));
      expect(sameDim(subDims(addDims(a, b), b), a)).toBe(true);
    }),
  );
});

test('parseDim reads what printDim writes', () => {
  fc.assert(fc.property(dimension, (d) => void expect(parseDim(printDim(d))).toEqual(d)));
});

test.each([
  ['12', 12],
  ['past + seq', addDims(sym('seq'), sym('past'))],
  ['8*seq - 1', addDims(scaleDim(sym('seq'), 8), -1)],
  ['-seq', scaleDim(sym('seq'), -1)],
  ['seq + seq', scaleDim(sym('seq'), 2)],
  ['seq - seq + 3', 3],
])('%s', (text, d) => {
  expect(parseDim(text)).toEqual(d);
});

test.each(['', 'a b', 'a*b', '2*', '2x', '+a', 'a--b', '1.5', '[a]'])('"%s" is no dimension', (text) => {
  expect(() => parseDim(text)).toThrow('is not a dimension');
});

test('the symbol without a value is named', () => {
  expect(() => evaluateDim(parseDim('batch + seq'), new Map([['batch', 1]]))).toThrow('dimension "seq" has no value');
});

describe('sameProduct', () => {
  test.each([
    [['batch', '8*seq'], ['batch', '8', 'seq'], true],
    [['2*past + 2*seq', '4'], ['8', 'past + seq'], true],
    [['batch', 'seq'], ['seq', 'batch'], true],
    [['seq', '6'], ['2', '3', 'seq'], true],
    [['seq', '0'], ['0', 'past'], true],
    [['seq', '6'], ['seq', '5'], false],
    [['seq'], ['past'], false],
    [['seq', 'seq'], ['seq'], false],
    [[], ['1'], true],
  ])('%j and %j: %s', (a, b, same) => {
    expect(sameProduct(a.map(parseDim), b.map(parseDim))).toBe(same);
  });

  test('what it calls equal is equal for every binding', () => {
    fc.assert(
      fc.property(
        fc.array(dimension, { maxLength: 3 }),
        fc.array(dimension, { maxLength: 3 }),
        bindings,
        (a, b, values) => {
          const product = (dims: readonly Dim[]) => dims.reduce<number>((n, d) => n * evaluateDim(d, values), 1) + 0;
          if (sameProduct(a, b)) expect(product(a)).toBe(product(b));
          expect(sameProduct(a, a.toReversed())).toBe(true);
        },
      ),
    );
  });
});

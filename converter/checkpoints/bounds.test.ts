import fc from 'fast-check';
import { expect, test } from 'vitest';
import { liesWithin, tensorByteLength } from './bounds.ts';

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 2 ** 53, 2 ** 53 - 1, 2 ** 64, -1, 0.5, NaN, Infinity),
);

test('liesWithin agrees with exact arithmetic', () => {
  fc.assert(
    fc.property(anyNumber, anyNumber, fc.maxSafeNat(), (begin, length, limit) => {
      const exact =
        Number.isSafeInteger(begin) &&
        Number.isSafeInteger(length) &&
        begin >= 0 &&
        length >= 0 &&
        BigInt(begin) + BigInt(length) <= BigInt(limit);
      expect(liesWithin(begin, length, limit)).toBe(exact);
    }),
    { numRuns: 2000 },
  );
});

test('tensorByteLength is exact or undefined', () => {
  const dim = fc.oneof(fc.nat(100), fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 26, 2 ** 32, 4194305, 211106198978564));
  fc.assert(
    fc.property(fc.array(dim, { maxLength: 5 }), (shape) => {
      const nonZero = shape.filter((d) => d > 0).reduce((n, d) => n * BigInt(d), 4n);
      const exact = nonZero > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : shape.includes(0) ? 0 : Number(nonZero);
      expect(tensorByteLength('f32', shape)).toBe(exact);
    }),
    { numRuns: 2000 },
  );
  for (const dim of [-1, 0.5, NaN, 2 ** 53]) expect(tensorByteLength('u8', [dim, 0])).toBeUndefined();
});

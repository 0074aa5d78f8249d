import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesGlob } from './glob.ts';

test('says what a regular expression with .* says', () => {
  const letters = (more: string) => fc.string({ unit: fc.constantFrom(...'ab', ...more), maxLength: 12 });
  fc.assert(
    fc.property(letters('*'), letters('\n.'), (pattern, text) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`, 's').test(text);
      expect(matchesGlob(pattern, text), `${pattern} ${text}`).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test('is soon done with what would take a regular expression forever', () => {
  const start = performance.now();
  expect(matchesGlob('*a*a*a*a*a*a*a*a*b', 'a'.repeat(10_000))).toBe(false);
  expect(performance.now() - start).toBeLessThan(1000);
});

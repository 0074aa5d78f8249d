import { expect, test } from 'vitest';
import { parseNumber, printNumber } from './attr.ts';

test('numbers that are none in JSON read back', () => {
  for (const x of [0, -0, 1.5, -3e-7, Infinity, -Infinity, Number.NaN])
    expect(Object.is(parseNumber(printNumber(x)), x), String(x)).toBe(true);
});

test('what every object has is no number', () => {
  for (const text of ['constructor', 'toString', '__proto__', 'hasOwnProperty', '', 'Nan', 'infinity'])
    expect(() => parseNumber(text), text).toThrow('is not a number');
});

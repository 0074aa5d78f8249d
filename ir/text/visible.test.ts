import fc from 'fast-check';
import { expect, test } from 'vitest';
import { visible, visibleJson } from './visible.ts';

test('what moves a cursor, turns a line or begins one is shown', () => {
  expect(visible('a\n::error::b\r\t\u001b[31m\u009b0m\u202ex\u2066\u2028\u2029\u200f\u061c\ufeff\ud800')).toBe(
    String.raw`a\n::error::b\u000d\u0009\u001b[31m\u009b0m\u202ex\u2066\u2028\u2029\u200f\u061c\ufeff\ud800`,
  );
  expect(visible('naïve 𝔘𝔫𝔦 👩‍👩‍👧 ▁ ع <loc0001>')).toBe('naïve 𝔘𝔫𝔦 👩‍👩‍👧 ▁ ع <loc0001>');
});

test('text of any kind is one line that a terminal prints as it stands', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(visible(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u);
      expect(visible(visible(text))).toBe(visible(text));
    }),
  );
});

test('JSON says the same, in the same lines', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify({ [text]: [text] }, null, 2);
      expect(JSON.parse(visibleJson(json))).toEqual(JSON.parse(json));
      expect(visibleJson(json).split('\n')).toHaveLength(json.split('\n').length);
      expect(visibleJson(json)).not.toMatch(/[\u2028-\u202e\u2066-\u2069]|(?!\n)\p{Cc}/u);
    }),
  );
});

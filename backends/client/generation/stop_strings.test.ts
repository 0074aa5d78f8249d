import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopStrings } from './stop_strings.ts';

function through(pieces: readonly string[], stops: readonly string[]): string {
  const text = new StopStrings(stops);
  let out = '';
  for (const piece of pieces) {
    out += text.add(piece);
    if (text.stopped) return out;
  }
  return out + text.end();
}

test('ends before the first of them, also where it comes in parts', () => {
  expect(through(['a red ', 'cir', 'cle and a'], ['circle'])).toBe('a red ');
  expect(through(['ab', 'cd'], ['d', 'bc'])).toBe('a');
  expect(through(['aab'], ['ab'])).toBe('a');
});

test('what only begins as one of them is given in the end', () => {
  expect(through(['a cir'], ['circle'])).toBe('a cir');
  expect(through(['aa', 'a', 'b'], ['aac'])).toBe('aaab');
  expect(through(['x'], [])).toBe('x');
});

test('for any text, pieces and strings: as one text cut at the first', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(short), fc.array(short, { maxLength: 3 }), (pieces, stops) => {
      const whole = pieces.join('');
      // the end of a string decides when it is known, its beginning where the text ends
      let cut = whole;
      for (let end = 1; end <= pieces.length && cut === whole; end++) {
        const text = pieces.slice(0, end).join('');
        const at = stops.map((stop) => text.indexOf(stop)).filter((found) => found >= 0);
        if (at.length > 0) cut = whole.slice(0, Math.min(...at));
      }
      expect(through(pieces, stops)).toBe(cut);
    }),
  );
});

describe('what is no list of strings is refused', () => {
  test.each([{ stops: 'stop' }, { stops: [''] }, { stops: ['a', 3] }, { stops: [undefined] }] as unknown as {
    stops: string[];
  }[])('%o', ({ stops }) => {
    expect(() => new StopStrings(stops)).toThrow(expect.objectContaining({ code: 'bad_input' }));
  });
});

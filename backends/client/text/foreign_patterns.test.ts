import { expect, test } from 'vitest';
import { unsoundPattern } from './foreign_patterns.ts';

const splitBy = (pattern: object) => ({ pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated' } });
const refused = (pattern: string) => unsoundPattern(splitBy({ Regex: pattern })) === pattern;

test.each([
  ' {2,}',
  ' ',
  String.raw`\s+`,
  String.raw` ?\p{L}+`,
  String.raw`[^\s\p{N}]+|\p{N}{1,3}`,
  String.raw`\r\n|[\]a]x*?`,
  'a{3}b{2}c+',
  '',
])('%s is taken: it is soon done', (pattern) => {
  expect(refused(pattern)).toBe(false);
  const start = performance.now();
  for (const text of [' '.repeat(10_000), 'a'.repeat(10_000), 'x1 '.repeat(3000)])
    for (const _ of text.matchAll(new RegExp(pattern, 'gu')));
  expect(performance.now() - start).toBeLessThan(1000);
});

test.each([
  '(?:.|.)*#',
  '(a+)+#',
  'a*a*#',
  'a?a?#',
  'a{1,9}b{1,9}',
  '(a)',
  '(?=a)',
  String.raw`a\1`,
  'a|b|c|d|e',
  '[',
  ']',
  '*',
  'a**',
  'a{999}',
  'x'.repeat(201),
])('%s is refused: it might take forever, or is none', (pattern) => {
  expect(refused(pattern)).toBe(true);
});

test.each(['a\n::error::b', 7, {}, { String: 7 }, { Other: 'a' }, null, undefined])(
  '%j is refused: it is no pattern',
  (pattern) => {
    expect(unsoundPattern({ pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated' } })).toBeDefined();
  },
);

test('expressions are found wherever they stand; texts are none', () => {
  const slow = { Regex: '(a|a)*b' };
  for (const part of ['normalizer', 'pre_tokenizer', 'decoder', 'post_processor'])
    expect(unsoundPattern({ [part]: { type: 'Sequence', inner: [{ type: 'Replace', pattern: slow }] } })).toBe(
      '(a|a)*b',
    );
  expect(unsoundPattern(splitBy({ String: '(a|a)*b' }))).toBeUndefined();
  expect(unsoundPattern(splitBy({ Regex: 7 }))).toBeUndefined();
  expect(unsoundPattern({ normalizer: null, model: { vocab: { Regex: 1 } } })).toBeUndefined();
});

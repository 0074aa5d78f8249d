import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellWord } from './shell_word.ts';
import { visible } from './visible.ts';

test.each([
  ['models/a-b.c', 'models/a-b.c'],
  ['', "''"],
  ["it's", String.raw`'it'\''s'`],
  ['a b; rm -rf ~ `x` $(y)', "'a b; rm -rf ~ `x` $(y)'"],
  ["x\n::error::'\\\u202e", String.raw`$'x\n::error::\'\\\xe2\x80\xae'`],
])('%j is %s', (text, word) => {
  expect(shellWord(text)).toBe(word);
});

test('bash reads each word as the text that it was', () => {
  const texts = fc.sample(fc.string({ unit: 'grapheme', minLength: 0, maxLength: 20 }), 150);
  texts.push('\n', '\u009b', '-n', 'a\u202eb', "'", '\\', '$x', '\t');
  const given = texts.map((text) => text.replaceAll('\0', ''));
  const words = given.map(shellWord);
  for (const word of words) expect(visible(word)).toBe(word);
  const printed = execFileSync('bash', ['-c', `printf '%s\\0' ${words.join(' ')}`]).toString();
  expect(printed.split('\0').slice(0, -1)).toEqual(given);
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RuntimeError } from '../../backends/client/errors.ts';
import { BadInputError } from '../errors.ts';
import { loadTokenizer } from './tokenizer.ts';

const json = JSON.parse(
  readFileSync(new URL('../../fixtures/shapes/hf/tokenizer.json', import.meta.url), 'utf8'),
) as object;
const evaluation = JSON.parse(readFileSync(new URL('../../fixtures/shapes/eval.json', import.meta.url), 'utf8')) as {
  cases: { tokens: number[]; text: string }[];
};
const tokenizer = loadTokenizer(json);

test('decodes what the reference decoded', () => {
  expect(evaluation.cases).toHaveLength(200);
  for (const { tokens, text } of evaluation.cases)
    expect(tokenizer.decode(tokens, { skipSpecialTokens: true })).toBe(text);
});

test('special tokens are shown unless they are skipped', () =>
  expect(tokenizer.decode([2, 325, 266, 4, 1])).toBe('<bos>caption en\n<eos>'));

test('spaces before punctuation stay', () =>
  expect(tokenizer.decode(tokenizer.encode('are there ? yes , it is !'))).toBe('are there ? yes , it is !'));

test.each([
  '\uFEFFa',
  'a\uFEFF',
  '\uFEFF',
  '\uFEFF\uFEFFx\uFEFF',
  '猫\uFEFF猫',
  ' \uFEFF  a',
  '\u200B',
  '\uFFFE',
  '\0',
  '\r\n',
])('text %j comes back whole from its ids', (text) => {
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  const ids = [2, ...tokenizer.encode(text), 1];
  expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(text);
});

test('bytes that are no character do not touch those beside them', () => {
  const [lone, ...mark] = ['<0xE4>', '<0xEF>', '<0xBB>', '<0xBF>'].map((token) => tokenizer.idOf(token)!) as [
    number,
    number,
    number,
    number,
  ];
  expect(tokenizer.decode([lone, ...mark, lone, mark[0], mark[1]])).toBe('\uFFFD\uFEFF\uFFFD\uFFFD');
});

test('a text that has no token, and none for what is unknown, is damage', () => {
  const { model, ...rest } = json as { model: object };
  const without = loadTokenizer({
    ...rest,
    added_tokens: [],
    model: { ...model, vocab: { a: 0, b: 1 }, merges: [], byte_fallback: false, unk_token: '<none>' },
  });
  expect(without.encode('ab')).toEqual([0, 1]);
  expect(() => without.encode('猫')).toThrow(RuntimeError);
  expect(() => without.encode('猫')).toThrow('tokenizer.json has no token for a part of the text');
  expect(() => without.encode('猫', { controlsAsText: true })).toThrow(RuntimeError);
});

test('no tokens are no text', () => {
  expect(tokenizer.decode([])).toBe('');
  expect(tokenizer.encode('')).toEqual([]);
});

test('ids by name', () =>
  expect(['<bos>', '<loc0000>', 'nothing'].map((token) => tokenizer.idOf(token))).toEqual([2, 386, undefined]));

test('a file that the library cannot open is named', () => {
  expect(() => loadTokenizer({}, {}, 'dir/tokenizer.json')).toThrow(BadInputError);
  expect(() => loadTokenizer({ ...json, decoder: { type: 'Nonsense' } }, {}, 'dir/tokenizer.json')).toThrow(/Nonsense/);
});

import { expect, test } from 'vitest';
import type { KnownTokens } from '../../sidecars/known_tokens.ts';
import { vocabularyOf } from './vocabulary.ts';

const tokens = (end: number, more: Partial<KnownTokens> = {}): KnownTokens => ({
  file: '/somewhere/tokenizer.json',
  end,
  imageTokenId: 1538,
  maskTokenId: undefined,
  added: new Map(),
  ...more,
});
const of = (rows: number, known?: KnownTokens, imageTokenId: number | undefined = 1538) => {
  const { vocabSize, imageTokenId: image } = vocabularyOf({ rows, imageTokenId, tokens: known, table: 'table' });
  return [vocabSize, image];
};

test('rows behind <image> are tokens as far as the tokenizer names them, and padding from there', () => {
  expect(of(1600, tokens(1538))).toEqual([1538, 1538]);
  expect(of(1600, tokens(1541))).toEqual([1541, 1538]);
  expect(of(1541, tokens(1541))).toEqual([1541, 1538]);
  expect(of(1544, tokens(1538))).toEqual([1538, 1538]);
});

test('a tokenizer that names more than there are rows gets those that are there', () => {
  expect(of(1541, tokens(2000))).toEqual([1541, 1538]);
});

test('a table of a length that nobody pads to is kept whole though the tokenizer names none of its rows', () => {
  expect(of(1541, tokens(1538))).toEqual([1541, 1538]);
  expect(of(1541, tokens(1540))).toEqual([1541, 1538]);
});

test('without a tokenizer a table of a multiple of 64 rows is padded, and any other was resized', () => {
  expect(of(1600)).toEqual([1538, 1538]);
  expect(of(1541)).toEqual([1541, 1538]);
  expect(of(1664)).toEqual([1664, 1538]);
});

test('<image> as the last row is a token like others', () => {
  expect(of(1539, tokens(1538))).toEqual([1539, 1538]);
  expect(of(1538, tokens(1538))).toEqual([1538, 1538]);
});

test('without config.json the tokenizer says which row is <image>, where the table has it', () => {
  const table = 'table';
  expect(vocabularyOf({ rows: 1541, tokens: tokens(1541), table })).toMatchObject({ imageTokenId: 1538 });
  expect(vocabularyOf({ rows: 512, tokens: tokens(1541), table })).toMatchObject({ imageTokenId: 512 });
  expect(vocabularyOf({ rows: 257216, table })).toMatchObject({ imageTokenId: 257152, vocabSize: 257152 });
});

test('<mask> of transformers 5 is no token of a padded table, unless others are behind it', () => {
  const mask = { maskTokenId: 1539 };
  expect(of(1600, tokens(1540, mask))).toEqual([1538, 1538]);
  expect(of(1600, tokens(1542, mask))).toEqual([1542, 1538]);
  expect(of(1540, tokens(1540, mask))).toEqual([1540, 1538]);
});

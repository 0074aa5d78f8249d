import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelProto_SentencePiece_Type as Type } from './proto/sentencepiece_model_pb.ts';
import { readSentencePiece } from './sentencepiece.ts';
import { BYTE_PIECES, sentencePieceBytes } from './testing/sentencepiece_bytes.ts';
import { TEXTS } from './testing/texts.ts';
import { withImage } from './testing/with_image.ts';
import { loadTokenizer } from './tokenizer.ts';
import { tokenizerJsonOf } from './tokenizer_json.ts';

const SHAPES = new URL('../../fixtures/shapes/', import.meta.url);
const model = readSentencePiece(readFileSync(new URL('tokenizer.model', SHAPES)), 'tokenizer.model');
const converted = withImage(tokenizerJsonOf(model), 1538);
const reference = JSON.parse(readFileSync(new URL('hf/tokenizer.json', SHAPES), 'utf8')) as typeof converted;
const ours = loadTokenizer(JSON.parse(JSON.stringify(converted)) as object);
const theirs = loadTokenizer(reference);

describe('the shapes tokenizer against its Hugging Face twin', () => {
  test.each(TEXTS.map((text) => [JSON.stringify(text).slice(0, 60), text]))('%s', (_, text) => {
    const ids = theirs.encode(text);
    expect(ours.encode(text)).toEqual(ids);
    expect(ours.decode(ids)).toBe(theirs.decode(ids));
    expect(ours.decode(ids, { skipSpecialTokens: true })).toBe(theirs.decode(ids, { skipSpecialTokens: true }));
  });

  test('any string', () => {
    const vocabulary = [...Object.keys(reference.model.vocab), '<loc0007>', '<seg099>', '<image>', '<bos>', '\n', '  '];
    const fragment = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(...vocabulary).map((piece) => piece.replaceAll('▁', ' ')),
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        const ids = ours.encode(text);
        expect(ids).toEqual(theirs.encode(text));
        expect(ids.every((id) => id < 1539)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('merges in the same order', () => expect(converted.model.merges).toEqual(reference.model.merges));

  test('the same added tokens with the same flags', () =>
    expect(converted.added_tokens).toEqual(reference.added_tokens));

  test('everything but the vocabulary’s own spelling is the same', () => {
    const { model: ours, ...mine } = converted;
    const { model: theirs, ...other } = reference;
    expect(mine).toEqual(other);
    const settings = ({ vocab: _vocab, merges: _merges, ...rest }: typeof ours) => rest;
    expect(settings(ours)).toEqual(settings(theirs));
  });
});

const tokenizerOf = (...args: Parameters<typeof sentencePieceBytes>) =>
  loadTokenizer(tokenizerJsonOf(readSentencePiece(sentencePieceBytes(...args), 'x.model')));

describe('what SentencePiece does', () => {
  // The expected ids are those of sentencepiece 0.2.2 for the same models.
  const spaces = tokenizerOf([
    ['▁▁', 0, Type.USER_DEFINED],
    ['▁▁▁', 0, Type.USER_DEFINED],
    ['▁a', -1],
    ['▁', -2],
    ['a', -3],
  ]);

  test('user-defined runs of spaces are cut out before merging, longest first', () => {
    expect(spaces.encode(' a')).toEqual([6]);
    expect(spaces.encode('  a')).toEqual([4, 8]);
    expect(spaces.encode('    a')).toEqual([5, 6]);
    expect(spaces.encode('▁▁ a')).toEqual([5, 8]);
  });

  test('the better score merges first, wherever it stands', () => {
    const tokenizer = tokenizerOf([
      ['bc', -1],
      ['ab', -2],
      ['a', -3],
      ['b', -4],
      ['c', -5],
    ]);
    expect(tokenizer.encode('abc')).toEqual([6, 4]);
  });

  test('a piece that splits in two ways, each with what the other ends with, is one piece', () => {
    const tokenizer = tokenizerOf([
      ['aaa', -1],
      ['aa', -2],
      ['a', -3],
    ]);
    expect(tokenizer.encode('aaa')).toEqual([4]);
    expect(tokenizer.encode('aaaaa')).toEqual([4, 5]);
  });

  test('a character without a piece merges all the same when it is ASCII', () => {
    const tokenizer = tokenizerOf([...BYTE_PIECES, ['\t\t', -1], ['a', -2]], { trainerSpec: { byteFallback: true } });
    expect(tokenizer.encode('\t')).toEqual([4 + 9]);
    expect(tokenizer.encode('a\t\t\t')).toEqual([261, 260, 13]);
    expect(tokenizer.decode([13, 260])).toBe('\t\t\t');
  });

  test('a character without a piece is the bytes of its UTF-8, where the model says so', () => {
    const tokenizer = tokenizerOf([...BYTE_PIECES, ['a', -2]], { trainerSpec: { byteFallback: true } });
    expect(tokenizer.encode('aé')).toEqual([260, 4 + 0xc3, 4 + 0xa9]);
  });

  test('byte fallback is said as the model has it', () => {
    const fallback = (byteFallback: boolean) =>
      tokenizerJsonOf(readSentencePiece(sentencePieceBytes(BYTE_PIECES, { trainerSpec: { byteFallback } }), 'x.model'))
        .model.byte_fallback;
    expect([fallback(true), fallback(false)]).toEqual([true, false]);
  });

  test('without byte fallback, neighbouring unknown characters are one unknown token', () => {
    const tokenizer = tokenizerOf([['a', -1]]);
    expect(tokenizer.encode('axyza')).toEqual([4, 3, 4]);
  });

  test('names of object properties are pieces like others', () => {
    const tokenizer = tokenizerOf([
      ['__proto__', 0, Type.USER_DEFINED],
      ['constructor', 0, Type.USER_DEFINED],
    ]);
    expect(tokenizer.encode('constructor__proto__')).toEqual([5, 4]);
  });
});

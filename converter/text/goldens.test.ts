import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSentencePiece } from './sentencepiece.ts';
import { withImage } from './testing/with_image.ts';
import { loadTokenizer, type EncodeOptions, type Tokenizer } from './tokenizer.ts';
import { tokenizerJsonOf, type TokenizerJson } from './tokenizer_json.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, FIXTURES));
const golden = (name: string) => JSON.parse(read(`tokenizer/${name}.json`).toString()) as unknown;
const jsonOf = (bytes: Uint8Array) => tokenizerJsonOf(readSentencePiece(bytes, 'x.model'));
const load = (json: TokenizerJson) => loadTokenizer(JSON.parse(JSON.stringify(json)) as object);

type Ids = readonly number[];
/** What Python made of them: fixtures/reference/tokenizer.py. */
const shapes = golden('shapes') as {
  texts: [text: string, huggingFace: Ids, sentencePiece?: Ids][];
  decoded: [ids: Ids, whole: string, withoutSpecial: string, sentencePiece?: string][];
};

/** Those that differ, with what was expected: one assertion shows them all. */
function differing(
  tokenizer: Tokenizer,
  rows: readonly (readonly [string, Ids])[],
  options?: EncodeOptions,
): unknown[] {
  return rows.flatMap(([text, ids]) => {
    const ours = tokenizer.encode(text, options);
    return ours.length === ids.length && ours.every((id, i) => id === ids[i])
      ? []
      : [{ text, ids: ids.join(), ours: ours.join() }];
  });
}

describe.each([
  ['tokenizer.model', load(withImage(jsonOf(read('shapes/tokenizer.model')), 1538))],
  ['tokenizer.json', loadTokenizer(JSON.parse(read('shapes/hf/tokenizer.json').toString()) as object)],
])('%s of shapes', (_, tokenizer) => {
  test('gives Hugging Face’s ids for every text', () => {
    expect(shapes.texts.length).toBeGreaterThan(400);
    expect(
      differing(
        tokenizer,
        shapes.texts.map(([text, ids]) => [text, ids]),
      ),
    ).toEqual([]);
  });

  test('gives SentencePiece’s ids when control tokens are text', () => {
    const rows = shapes.texts.map(([text, huggingFace, sentencePiece = huggingFace]) => [text, sentencePiece] as const);
    expect(shapes.texts.filter((row) => row.length > 2).length).toBeGreaterThan(10);
    expect(differing(tokenizer, rows, { controlsAsText: true })).toEqual([]);
  });

  test('decodes as Hugging Face does', () => {
    const valid = shapes.decoded.filter(([, whole]) => !whole.includes('\ufffd'));
    expect(valid.length).toBeGreaterThan(50);
    for (const [ids, whole, withoutSpecial] of valid) {
      expect(tokenizer.decode(ids)).toBe(whole);
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(withoutSpecial);
    }
  });

  test('decodes bytes that are no text as the web does', () => {
    const bytesOf = (ids: Ids) => ids.map((id) => id - 5);
    const invalid = shapes.decoded.filter(
      ([ids, whole]) => whole.includes('\ufffd') && ids.every((id) => id >= 5 && id < 261),
    );
    expect(invalid.length).toBeGreaterThan(5);
    for (const [ids] of invalid)
      expect(tokenizer.decode(ids)).toBe(new TextDecoder().decode(Uint8Array.from(bytesOf(ids))));
  });

  test('decodes what it encoded, but for what cannot be told from a space', () => {
    for (const [text, ids] of shapes.texts) expect(tokenizer.decode(ids)).toBe(text.replaceAll('▁', ' '));
  });
});

test.each(['scripts', 'unknowns'])('%s.model gives the ids of SentencePiece', (name) => {
  const { texts } = golden(name) as { texts: [string, Ids, string?][] };
  const tokenizer = load(jsonOf(read(`tokenizer/${name}.model`)));
  expect(
    differing(
      tokenizer,
      texts.map(([text, ids]) => [text, ids]),
      { controlsAsText: true },
    ),
  ).toEqual([]);
});

test('equal scores: the leftmost pair merges first, as in SentencePiece, or the model is refused', () => {
  const { models } = golden('ties') as { models: [base64: string, words: [string, Ids][]][] };
  const outcomes = models.map(([base64, words]) => {
    try {
      return differing(load(jsonOf(Buffer.from(base64, 'base64'))), words);
    } catch (error) {
      return (error as Error).message;
    }
  });
  expect(outcomes).toEqual([
    ...Array.from({ length: 6 }, () => []),
    'the pieces "ab" and "ba" have one score, -1: which merges first depends on the text, which tokenizer.json cannot say',
    'the pieces "ab" and "bc" have one score, -1: which merges first depends on the text, which tokenizer.json cannot say',
  ]);
});

test('a unigram model is refused by name', () => {
  expect(() => jsonOf(read('tokenizer/unigram.model'))).toThrow(
    expect.objectContaining({
      code: 'unsupported_tokenizer',
      message: 'a SentencePiece model of type unigram: only bpe is supported, as PaliGemma’s is',
    }),
  );
});

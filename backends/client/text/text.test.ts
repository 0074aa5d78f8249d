import { describe, expect, test } from 'vitest';
import { openSource } from '../sources/open_source.ts';
import { openText } from './text.ts';
import { toyFacts } from '../../wgsl/runtime/testing/toy_bundle.ts';

const SPACE = '\u2581';
const WORDS = [
  '<pad>',
  '<eos>',
  '<bos>',
  '<unk>',
  '<0xAB>',
  'a',
  'b',
  SPACE,
  '\n',
  '<loc0001>',
  '<0xE7>',
  '<0x8C>',
  '<image>',
  '.',
];
const special = (id: number) => ({
  id,
  content: WORDS[id]!,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** As Gemma's tokenizer is made: spaces are letters, and unknown characters bytes. */
const tokenizer = {
  version: '1.0',
  added_tokens: [0, 1, 2, 3, 12].map(special).concat({ ...special(9), special: false }),
  normalizer: { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
    ],
  },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    merges: [],
    unk_token: '<unk>',
    byte_fallback: true,
    fuse_unk: true,
  },
};

const open = (files: Readonly<Record<string, string>>) =>
  openText(
    openSource(new Map(Object.entries(files).map(([path, text]) => [path, new Blob([text])])), 'manifest.json'),
    toyFacts,
  );
const opened = () => open({ 'tokenizer.json': JSON.stringify(tokenizer), 'tokenizer_config.json': '{}' });

describe('prompts', () => {
  test('image tokens, <bos>, text, newline', async () => {
    const { promptIds } = await opened();
    const image = toyFacts.imageTokenId;
    expect(promptIds('a b', 1)).toEqual([image, image, 2, 5, 7, 6, 8]);
    expect(promptIds('', 0)).toEqual([2, 8]);
    expect(promptIds('猫', 2)).toEqual([image, image, image, image, 2, 10, 11, 4, 8]);
  });

  test('of big_vision, whose newline is apart; with Hugging Face it merges with a space before', async () => {
    const merged = [...WORDS, `${SPACE}\n`];
    const model = {
      ...tokenizer.model,
      vocab: Object.fromEntries(merged.map((word, id) => [word, id])),
      merges: [[SPACE, '\n']],
    };
    const source = openSource(
      new Map([
        ['tokenizer.json', new Blob([JSON.stringify({ ...tokenizer, model })])],
        ['tokenizer_config.json', new Blob(['{}'])],
      ]),
      'manifest.json',
    );
    expect((await openText(source, toyFacts)).promptIds('a ', 0)).toEqual([2, 5, 14]);
    expect((await openText(source, toyFacts, 'bigvision')).promptIds('a ', 0)).toEqual([2, 5, 7, 8]);
    expect((await openText(source, toyFacts, 'bigvision')).promptIds('', 0)).toEqual([2, 8]);
  });

  test('with control tokens: tokens for Hugging Face, characters for big_vision', async () => {
    const files = new Map([['tokenizer.json', new Blob([JSON.stringify(tokenizer)])]]);
    const source = openSource(files, 'manifest.json');
    expect((await openText(source, toyFacts)).promptIds('a<eos>', 0)).toEqual([2, 5, 1, 8]);
    expect((await openText(source, toyFacts, 'bigvision')).promptIds('a<eos>', 0)).toEqual([2, 5, 3, 8]);
  });

  test('that hold what is put before them: <image> for each picture, or not at all, and no <bos>', async () => {
    const { promptIds } = await opened();
    expect(promptIds('<image>a', 1)).toEqual(promptIds('a', 1));
    for (const prompt of ['<image><image>a', 'a<bos>'])
      expect(() => promptIds(prompt, 1)).toThrow(expect.objectContaining({ code: 'bad_input' }));
  });
});

test('text of ids: special tokens left out, places kept', async () => {
  const { decode } = await opened();
  expect(decode([5, 7, 13, 10, 11, 4, 9, 6, 1])).toBe('a .猫<loc0001>b');
  expect(decode([])).toBe('');
});

describe('refuses', () => {
  test('no tokenizer, no JSON, JSON that is none', async () => {
    await expect(open({})).rejects.toMatchObject({ code: 'not_found' });
    await expect(open({ 'tokenizer.json': '{' })).rejects.toMatchObject({ code: 'damaged' });
    await expect(open({ 'tokenizer.json': '{"a":1}' })).rejects.toMatchObject({ code: 'damaged' });
  });
});

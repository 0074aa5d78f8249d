import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { tokenizerConfigFile } from './tokenizer_config.ts';
import { sidecarOf } from './testing/sidecar_of.ts';

const make = (contents?: object | string) => {
  const { value, notes, tokens } = tokenizerConfigFile(
    new Map(contents === undefined ? [] : [['tokenizer_config.json', sidecarOf(contents)]]),
  );
  return { text: value.text, fields: JSON.parse(value.text) as Record<string, unknown>, notes, tokens };
};
const complete = make().fields;

test('made for Gemma’s tokenizer when there is none', () => {
  expect(complete).toEqual({
    bos_token: '<bos>',
    eos_token: '<eos>',
    pad_token: '<pad>',
    unk_token: '<unk>',
    tokenizer_class: 'GemmaTokenizer',
    padding_side: 'left',
    clean_up_tokenization_spaces: false,
  });
  expect(make().notes).toHaveLength(1);
});

test('what no client of PaliGemma reads is left out; a limit that is none, too', () => {
  const text = JSON.stringify({
    ...complete,
    add_bos_token: true,
    mask_token: '<mask>',
    processor_class: 'PaliGemmaProcessor',
    backend: 'tokenizers',
    model_max_length: 'x',
  }).replace('"x"', '1000000000000000019884624838656');
  expect(make(text)).toMatchObject({ text: make().text, notes: [] });
});

test('the Hub’s file, transformers 5’s and none give the same bytes', () => {
  const read = (path: string) =>
    readFileSync(new URL(`../../fixtures/${path}/tokenizer_config.json`, import.meta.url), 'utf8');
  for (const source of [
    read('shapes/hf'),
    read('processors/transformers5'),
    {
      ...complete,
      tokenizer_class: 'GemmaTokenizerFast',
      additional_special_tokens: ['<image>'],
      added_tokens_decoder: {},
    },
  ])
    expect(make(source)).toMatchObject({ text: make().text, notes: [] });
});

test('values that the file sets are kept', () => {
  const own = {
    padding_side: 'right',
    model_max_length: 8192,
    additional_special_tokens: ['<image>', { content: '<extra>' }],
    pad_token: '<eos>',
  };
  expect(make({ ...complete, ...own }).fields).toEqual({ ...complete, ...own, additional_special_tokens: ['<extra>'] });
});

test('a template is a program, and is left out with a note', () => {
  const { fields, notes } = make({ ...complete, chat_template: '{{ x }}', auto_map: { AutoTokenizer: ['x.Y', null] } });
  expect(fields).toEqual(complete);
  expect(notes).toEqual([
    'tokenizer_config.json: left out chat_template, auto_map: code of the checkpoint’s own, which nobody here has run.',
  ]);
});

test('tokens as objects become text: the client refuses them otherwise', () => {
  const { fields, notes, tokens } = make({
    ...complete,
    bos_token: { __type: 'AddedToken', content: '<s>', lstrip: false },
  });
  expect(fields).toMatchObject({ bos_token: '<s>' });
  expect(tokens.bos).toBe('<s>');
  expect(notes).toEqual([]);
});

test('absent roles are added', () => {
  const { pad_token: _, ...rest } = complete;
  expect(make(rest)).toMatchObject({
    fields: complete,
    notes: ['tokenizer_config.json: added pad_token, which PaliGemma’s processor needs.'],
  });
});

test('spaces are kept as Hugging Face keeps them', () => {
  const { fields, notes } = make({ ...complete, clean_up_tokenization_spaces: true });
  expect(fields).toEqual(complete);
  expect(notes[0]).toContain('set clean_up_tokenization_spaces to false');
});

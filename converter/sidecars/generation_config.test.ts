import { expect, test } from 'vitest';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { generationConfigFile } from './generation_config.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { sidecarOf } from './testing/sidecar_of.ts';

const make = (contents?: object | string, metadata: ProgramMetadata = SHAPES_METADATA) => {
  const { value, notes } = generationConfigFile(
    new Map(contents === undefined ? [] : [['generation_config.json', sidecarOf(contents)]]),
    metadata,
  );
  return { text: value.text, fields: JSON.parse(value.text) as Record<string, unknown>, notes };
};

test('made from the model when there is none', () => {
  expect(make().fields).toEqual({ bos_token_id: 2, eos_token_id: 1, pad_token_id: 0, max_new_tokens: 256 });
  expect(make().notes).toHaveLength(1);
});

test('every end token that config.json names, where the file names none', () => {
  const metadata = { ...SHAPES_METADATA, stopTokenIds: [1, 107] };
  for (const contents of [undefined, {}, { eos_token_id: null }])
    expect(make(contents, metadata).fields).toMatchObject({ eos_token_id: [1, 107] });
  expect(make({ eos_token_id: 5 }, metadata).fields).toMatchObject({ eos_token_id: 5 });
});

test('a file that says it all is carried over as it is', () => {
  const text =
    ' {"bos_token_id": 2, "eos_token_id": [1, 107], "pad_token_id": 0, "max_new_tokens": 20, "temperature": null}';
  expect(make(text)).toMatchObject({ text, notes: [] });
});

test('PaliGemma 2’s: the cache of another runtime goes, a length comes', () => {
  const { fields, notes } = make({
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    cache_implementation: 'hybrid',
    transformers_version: '4.47.0',
  });
  expect(fields).toEqual({
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    max_new_tokens: 256,
    transformers_version: '4.47.0',
  });
  expect(notes).toEqual([
    'generation_config.json: added max_new_tokens 256, as the client would stop at 20 tokens, those of the image included.',
    'generation_config.json: left out cache_implementation, which the client cannot follow.',
  ]);
});

test('what the client cannot follow goes, what is harmless stays', () => {
  const { fields } = make({
    num_beams: 4,
    return_dict_in_generate: true,
    output_attentions: false,
    do_sample: true,
    temperature: 0.7,
  });
  expect(fields).toEqual({
    output_attentions: false,
    do_sample: true,
    temperature: 0.7,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    max_new_tokens: 256,
  });
});

test('null is nothing', () =>
  expect(make({ max_new_tokens: null, eos_token_id: null }).fields).toMatchObject({
    max_new_tokens: 256,
    eos_token_id: 1,
  }));

test.each([
  ['max_new_tokens', -1],
  ['eos_token_id', []],
  ['eos_token_id', '<eos>'],
])('%s %j is refused by name', (key, value) => {
  expect(() => make({ [key]: value })).toThrow(
    expect.objectContaining({ code: 'bad_sidecar', message: expect.stringContaining(key) as string }),
  );
});

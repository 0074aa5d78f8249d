import { expect, test } from 'vitest';
import { tokenizerConfigFile } from './tokenizer_config.ts';
import { sidecarOf } from './testing/shapes.ts';

const make = (contents?: object | string) => {
  const { value, notes, tokens } = tokenizerConfigFile(new Map(contents === undefined ? [] : [['tokenizer_config.json', sidecarOf(contents)]]));
  return { text: value.text, fields: JSON.parse(value.text) as Record<string, unknown>, notes, tokens };
};
const complete = make().fields;

test('made for Gemma’s tokenizer when there is none', () => {
  expect(complete).toEqual({ bos_token: '<bos>', eos_token: '<eos>', pad_token: '<pad>', unk_token: '<unk>', tokenizer_class: 'GemmaTokenizer', padding_side: 'left', clean_up_tokenization_spaces: false });
  expect(make().notes).toHaveLength(1);
});

test('a file that says it all is carried over as it is', () => {
  const text = JSON.stringify({ ...complete, model_max_length: 'x' }, null, 3).replace('"x"', '1000000000000000019884624838656');
  expect(make(text)).toMatchObject({ text, notes: [] });
});

test('tokens as objects become text: the client refuses them otherwise', () => {
  const { fields, notes, tokens } = make({ ...complete, bos_token: { content: '<s>', lstrip: false }, mask_token: { content: '<mask>' } });
  expect(fields).toMatchObject({ bos_token: '<s>', mask_token: '<mask>' });
  expect(tokens.bos).toBe('<s>');
  expect(notes).toEqual(['tokenizer_config.json: wrote bos_token and mask_token as text, as the client refuses objects.']);
  const python = { __type: 'AddedToken', content: '<s>' };
  expect(make({ ...complete, bos_token: python })).toMatchObject({ fields: { bos_token: python }, tokens: { bos: '<s>' }, notes: [] });
});

test('spaces are kept as Hugging Face keeps them', () => {
  const { fields, notes } = make({ ...complete, clean_up_tokenization_spaces: true });
  expect(fields).toEqual(complete);
  expect(notes[0]).toContain('set clean_up_tokenization_spaces to false');
});

import { PretrainedConfig } from '@huggingface/transformers';
import { expect, test } from 'vitest';
import { configFields } from './config.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';

const make = (config: unknown, metadata = SHAPES_METADATA) => {
  const { value, notes } = configFields(config, metadata);
  return { fields: value, notes };
};

test('a published config has almost nothing: what the client reads is added', () => {
  const published = {
    architectures: ['PaliGemmaForConditionalGeneration'],
    model_type: 'paligemma',
    image_token_index: 1538,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    text_config: {
      model_type: 'gemma',
      num_hidden_layers: 4,
      num_key_value_heads: 1,
      hidden_size: 128,
      intermediate_size: 512,
    },
    vision_config: { model_type: 'siglip_vision_model', image_size: 112, num_image_tokens: 64, hidden_size: 96 },
  };
  const { fields, notes } = make(published);
  expect(fields).toMatchObject({
    ...published,
    text_config: { ...published.text_config, head_dim: 32, max_position_embeddings: 8192 },
  });
  expect(notes).toEqual([
    'config.json: added text_config.head_dim and text_config.max_position_embeddings, which the client reads.',
  ]);
});

test('the weights are believed where the config says something else', () => {
  const { fields, notes } = make({
    ...make(undefined).fields,
    image_token_index: 256000,
    model_type: 'gemma',
  });
  expect(fields).toMatchObject({ image_token_index: 1538, model_type: 'paligemma' });
  expect(notes).toEqual(['config.json: corrected model_type and image_token_index to what the weights say.']);
});

test('several ends are kept when the model’s own is among them', () => {
  const { fields } = make({ eos_token_id: [1, 107] });
  expect(fields['eos_token_id']).toEqual([1, 107]);
  expect(make({ eos_token_id: [7] }).fields['eos_token_id']).toBe(1);
});

test('what is about the checkpoint’s own files goes', () => {
  const { fields, notes } = make({ quantization_config: { bits: 4 } });
  expect(fields).not.toHaveProperty('quantization_config');
  expect(notes.join('\n')).toMatch(/quantization_config/);
});

test('PaliGemma 2 has Gemma 2’s text model', () => {
  expect(make(undefined, { ...SHAPES_METADATA, family: 'paligemma2' }).fields).toMatchObject({
    model_type: 'paligemma',
    text_config: { model_type: 'gemma2' },
  });
});

test('the generation of the text model is what the weights are, and a stale width at the top is theirs', () => {
  const { fields, notes } = make(
    {
      ...make(undefined).fields,
      hidden_size: 2048,
      text_config: { ...(make(undefined).fields['text_config'] as object), model_type: 'gemma' },
    },
    { ...SHAPES_METADATA, family: 'paligemma2' },
  );
  expect(fields).toMatchObject({ hidden_size: 128, text_config: { model_type: 'gemma2' } });
  expect(notes).toEqual(['config.json: corrected hidden_size and text_config.model_type to what the weights say.']);
});

test('the client reads the cache of Gemma 2 from what is written', async () => {
  const { fields } = make(undefined, {
    ...SHAPES_METADATA,
    family: 'paligemma2',
    layers: 26,
    kvHeads: 4,
    headDim: 256,
    hiddenSize: 2304,
  });
  expect(new PretrainedConfig(fields)).toMatchObject({
    normalized_config: { num_layers: 26, num_heads: 4, dim_kv: 256 },
  });
});

test('a config that is no object is refused', () =>
  expect(() => make([1])).toThrow(expect.objectContaining({ code: 'bad_config' })));

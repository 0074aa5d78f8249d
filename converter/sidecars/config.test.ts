import { PretrainedConfig } from '@huggingface/transformers';
import { expect, test } from 'vitest';
import { configFile } from './config.ts';
import { onnxFilesOf } from './onnx_files.ts';
import { SHAPES_METADATA, SHAPES_ONNX } from './testing/shapes.ts';

const files = onnxFilesOf(SHAPES_ONNX);
const make = (config: unknown, paths = files, metadata = SHAPES_METADATA) => {
  const { value, notes } = configFile(config, metadata, paths);
  return { fields: JSON.parse(value.text) as Record<string, unknown>, notes };
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
    'transformers.js_config': undefined,
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
  const { fields, notes } = make({
    quantization_config: { bits: 4 },
    'transformers.js_config': { dtype: 'q8', use_external_data_format: true },
  });
  expect(fields).not.toHaveProperty('quantization_config');
  expect(fields['transformers.js_config']).toMatchObject({ use_external_data_format: { 'embed_tokens_fp16.onnx': 1 } });
  expect(notes.join('\n')).toMatch(/quantization_config[^]*transformers\.js_config/);
});

test('PaliGemma 2 has Gemma 2’s text model', () => {
  expect(make(undefined, files, { ...SHAPES_METADATA, family: 'paligemma2' }).fields).toMatchObject({
    model_type: 'paligemma',
    text_config: { model_type: 'gemma2' },
  });
});

test('the generation of the text model is what the weights are, and a stale width at the top is theirs', () => {
  const { fields, notes } = make(
    {
      ...make(undefined).fields,
      'transformers.js_config': undefined,
      hidden_size: 2048,
      text_config: { ...(make(undefined).fields['text_config'] as object), model_type: 'gemma' },
    },
    files,
    { ...SHAPES_METADATA, family: 'paligemma2' },
  );
  expect(fields).toMatchObject({ hidden_size: 128, text_config: { model_type: 'gemma2' } });
  expect(notes).toEqual(['config.json: corrected hidden_size and text_config.model_type to what the weights say.']);
});

test('the client reads the cache of Gemma 2 from what is written', async () => {
  const { fields } = make(undefined, files, {
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

test('a bundle without the default folder is described by the one it has', () => {
  const { fields, notes } = make(undefined, [
    { folder: 'onnx-ort', name: 'decoder_model_merged_fp16.onnx', dataFiles: 2 },
  ]);
  expect(fields['transformers.js_config']).toEqual({
    dtype: { decoder_model_merged: 'fp16' },
    use_external_data_format: { 'decoder_model_merged_fp16.onnx': 2 },
  });
  expect(notes.filter((note) => note.includes('subfolder'))).toEqual([]);
});

test('a second folder with other data files gets the option that opens it', () => {
  const { fields, notes } = make(
    undefined,
    onnxFilesOf([
      ...SHAPES_ONNX,
      'onnx-ort/embed_tokens_fp16.onnx',
      'onnx-ort/vision_encoder_fp16.onnx',
      'onnx-ort/vision_encoder_fp16.onnx_data',
    ]),
  );
  expect(fields['transformers.js_config']).toMatchObject({ use_external_data_format: { 'embed_tokens_fp16.onnx': 1 } });
  expect(notes.at(-1)).toContain(`{ subfolder: 'onnx-ort', use_external_data_format: {"vision_encoder_fp16.onnx":1} }`);
});

test('a config that is no object is refused', () =>
  expect(() => make([1])).toThrow(expect.objectContaining({ code: 'bad_config' })));

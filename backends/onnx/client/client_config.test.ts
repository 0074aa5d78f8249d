import { expect, test } from 'vitest';
import { SHAPES_ONNX } from '../testing/shapes.ts';
import { clientConfig } from './client_config.ts';
import { onnxFilesOf, type OnnxFile } from './onnx_files.ts';

const make = (files: readonly OnnxFile[], config: Readonly<Record<string, unknown>> = {}) => {
  const { value, notes } = clientConfig({ value: config, notes: ['before'] }, files);
  return { fields: JSON.parse(value.text) as Record<string, unknown>, notes };
};

test('names the files by dtype and by their data files, behind what the config has', () => {
  const { fields, notes } = make(onnxFilesOf(SHAPES_ONNX), { model_type: 'paligemma' });
  expect(Object.entries(fields)).toEqual([
    ['model_type', 'paligemma'],
    [
      'transformers.js_config',
      {
        dtype: { embed_tokens: 'fp16', vision_encoder: 'fp16', decoder_model_merged: 'fp16' },
        use_external_data_format: { 'embed_tokens_fp16.onnx': 1, 'decoder_model_merged_fp16.onnx': 2 },
      },
    ],
  ]);
  expect(notes).toEqual(['before']);
});

test('what is about another bundle’s files is replaced', () => {
  const { fields, notes } = make(onnxFilesOf(SHAPES_ONNX), {
    'transformers.js_config': { dtype: 'q8', use_external_data_format: true },
  });
  expect(fields['transformers.js_config']).toMatchObject({ use_external_data_format: { 'embed_tokens_fp16.onnx': 1 } });
  expect(notes).toEqual(['before', expect.stringContaining('replaced transformers.js_config')]);
});

test('a bundle without the default folder is described by the one it has', () => {
  const { fields, notes } = make([{ folder: 'onnx-ort', name: 'decoder_model_merged_fp16.onnx', dataFiles: 2 }]);
  expect(fields['transformers.js_config']).toEqual({
    dtype: { decoder_model_merged: 'fp16' },
    use_external_data_format: { 'decoder_model_merged_fp16.onnx': 2 },
  });
  expect(notes.filter((note) => note.includes('subfolder'))).toEqual([]);
});

test('a second folder with other data files gets the option that opens it', () => {
  const { fields, notes } = make(
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

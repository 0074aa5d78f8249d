import { expect, test } from 'vitest';
import { dtypesOf, externalDataOf, onnxFilesOf } from './onnx_files.ts';
import { SHAPES_ONNX } from '../testing/shapes.ts';

test('counts the data files of each graph', () => {
  expect(onnxFilesOf([...SHAPES_ONNX, 'manifest.json', 'onnx-ort/vision_encoder.onnx'])).toEqual([
    { folder: 'onnx', name: 'embed_tokens_fp16.onnx', dataFiles: 1 },
    { folder: 'onnx', name: 'vision_encoder_fp16.onnx', dataFiles: 0 },
    { folder: 'onnx', name: 'decoder_model_merged_fp16.onnx', dataFiles: 2 },
    { folder: 'onnx-ort', name: 'vision_encoder.onnx', dataFiles: 0 },
  ]);
});

test.each([['onnx/x.onnx_data'], ['onnx/x.onnx_data_1']])('%s alone is refused', (path) => {
  const paths = path.endsWith('_1') ? ['onnx/x.onnx', path] : [path];
  expect(() => onnxFilesOf(paths)).toThrow(
    expect.objectContaining({ code: 'bundle-damaged', place: expect.objectContaining({ file: path }) as object }),
  );
});

test('dtypes by file name, where they are clear', () => {
  const files = onnxFilesOf([
    'onnx/embed_tokens_q4.onnx',
    'onnx/vision_encoder_fp16.onnx',
    'onnx/vision_encoder.onnx',
    'onnx/decoder_model_merged_quantized.onnx',
    'onnx-ort/vision_encoder_q4f16.onnx',
  ]);
  expect(dtypesOf(files)).toEqual({ embed_tokens: 'q4', decoder_model_merged: 'q8' });
  expect(dtypesOf(files, 'onnx-ort')).toEqual({ vision_encoder: 'q4f16' });
});

test('external data is keyed by full file name, without files that have none', () => {
  expect(externalDataOf(onnxFilesOf(SHAPES_ONNX))).toEqual({
    'embed_tokens_fp16.onnx': 1,
    'decoder_model_merged_fp16.onnx': 2,
  });
});

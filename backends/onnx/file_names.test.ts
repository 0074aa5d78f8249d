import { describe, expect, it } from 'vitest';
import { BackendError } from '../error.ts';
import { dataFileName, modelFileName, precisions } from './file_names.ts';

describe('file names that transformers.js asks for', () => {
  it.each([
    ['fp32', 'decoder_model_merged.onnx'],
    ['fp16', 'decoder_model_merged_fp16.onnx'],
    ['bf16', 'decoder_model_merged.onnx'],
    ['q8', 'decoder_model_merged_quantized.onnx'],
    ['int8', 'decoder_model_merged_int8.onnx'],
    ['uint8', 'decoder_model_merged_uint8.onnx'],
    ['int4', 'decoder_model_merged_q4.onnx'],
    ['q4', 'decoder_model_merged_q4.onnx'],
    ['q4f16', 'decoder_model_merged_q4f16.onnx'],
    ['bnb4', 'decoder_model_merged_bnb4.onnx'],
  ])('%s', (precision, name) => {
    expect(modelFileName('decoder', precision)).toBe(name);
    expect(precisions).toContain(precision);
  });

  it('keeps the names of the other graphs', () => {
    expect(modelFileName('vision_encoder', 'fp16')).toBe('vision_encoder_fp16.onnx');
    expect(modelFileName('embed_tokens', 'fp32')).toBe('embed_tokens.onnx');
  });

  it.each(['bf8', '', '__proto__', 'toString'])('refuses the precision %j, naming those that exist', (precision) => {
    expect(() => modelFileName('decoder', precision)).toThrow(BackendError);
    expect(() => modelFileName('decoder', precision)).toThrow(`"${precision}"`);
  });

  it.each(['../x', 'a/b', ''])('refuses the graph name %j', (graph) =>
    expect(() => modelFileName(graph, 'fp32')).toThrow(BackendError),
  );

  it('numbers data files from the second on', () => {
    expect([0, 1, 12].map((i) => dataFileName('m.onnx', i))).toEqual([
      'm.onnx_data',
      'm.onnx_data_1',
      'm.onnx_data_12',
    ]);
  });
});

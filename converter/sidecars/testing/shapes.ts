import type { ProgramMetadata } from '../../../ir/graph.ts';
import type { Sidecar } from '../sidecar.ts';

/** Of fixtures/shapes. */
export const SHAPES_METADATA: ProgramMetadata = {
  family: 'paligemma',
  variant: 'paligemma-shapes',
  imageSize: 112,
  imageTokens: 64,
  imageTokenId: 1538,
  vocabSize: 1538,
  layers: 4,
  kvHeads: 1,
  headDim: 32,
  hiddenSize: 128,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 8192,
};

export const SHAPES_ONNX = [
  'onnx/embed_tokens_fp16.onnx',
  'onnx/embed_tokens_fp16.onnx_data',
  'onnx/vision_encoder_fp16.onnx',
  'onnx/decoder_model_merged_fp16.onnx',
  'onnx/decoder_model_merged_fp16.onnx_data',
  'onnx/decoder_model_merged_fp16.onnx_data_1',
];

export function sidecarOf(contents: unknown, file = 'dir/file.json'): Sidecar {
  return { file, bytes: new TextEncoder().encode(typeof contents === 'string' ? contents : JSON.stringify(contents)) };
}

/** The files of fixtures/shapes in f16. */
export const SHAPES_ONNX = [
  'onnx/embed_tokens_fp16.onnx',
  'onnx/embed_tokens_fp16.onnx_data',
  'onnx/vision_encoder_fp16.onnx',
  'onnx/decoder_model_merged_fp16.onnx',
  'onnx/decoder_model_merged_fp16.onnx_data',
  'onnx/decoder_model_merged_fp16.onnx_data_1',
];

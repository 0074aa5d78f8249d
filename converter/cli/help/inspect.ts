/** Help of `pgconv inspect`, below its options. */
export const INSPECT_HELP = `
A checkpoint is a path, or a Hub id (org/name, org/name@revision) in the local Hub cache.
For a checkpoint: family, variant, sizes with where each was read from, dtypes and
tensors. For a bundle: its graphs, their ops, parameters and bytes, or its phases,
dispatches, shaders and weights. For a folder that another program exported: its graphs,
and what each port is taken for. For an .onnx: opset, inputs, outputs, ops,
initializers. Weights are read only to compare an lm_head with the embedding, and to say
how much an adapter changes.

Examples:
  pgconv inspect ./paligemma-3b-mix-224 --json
  pgconv inspect fixtures/shapes --ir decoder
  pgconv inspect fixtures/shapes/hf --adapter fixtures/shapes/lora-shapes
  pgconv inspect fixtures/shapes --ir decoder --dtype fp16
  pgconv inspect fixtures/shapes --ir decoder --dtype int4 --to wgsl
  pgconv inspect shapes-onnx-fp16
  pgconv inspect shapes-onnx-fp16/onnx/vision_encoder_fp16.onnx`;

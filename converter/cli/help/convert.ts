/** Help of `pgconv convert`, below its options. */
export const CONVERT_HELP = `
The checkpoint is a Hugging Face folder (.safetensors, one or many, with config.json), a
big_vision .npz, or a folder that holds one of them: what it is, is told by its content.
A Hub id, org/name or org/name@revision, of which there is no file or folder, is looked up
in the local Hub cache (HF_HUB_CACHE, HF_HOME): hf download org/name puts it there.
Weights are read, converted and written as a stream. A path may end in a selector, as in
big_vision: two files give one model as a.npz:img and b.npz:llm.

The bundle is compared with the checkpoint before it is put in place: image features,
logits of every position, greedy tokens, a left-padded batch, computed by the bundle's
runtime on one side (ONNX Runtime; TensorFlow.js; for wgsl WebGPU, which in Node is the
package webgpu) and by the original arithmetic in float64 on the other. A bundle that
differs is not kept, and the exit code is 1. The comparison takes seconds for small
models and 5 to 8 minutes for a 3B on two cores (onnxruntime-node computes the products
of the original, in float64; without it, an hour). A bundle that needs more than --memory,
by default what the machine has free, is run part by part, and the report says so.
--against golden.safetensors compares it as well with what the original implementation
computed (pgconv record); --no-verify leaves only that.

When it differs, the program of a small model is evaluated after each pass, and the first
pass that changed values is named, or that none did: then the fault lies in what made the
bundle of it, or in the runtime. pgconv verify --bisect does so at any size. --print-ir
writes what passes did as text.

A run that was killed, interrupted or met a full disk leaves what it has written beside
the output, .<out>.pgconv-new-…; the same command goes on there, when neither options nor
checkpoint changed, and the bundle is what one run would have written. --no-resume begins
anew; pgconv clean removes what is left. Nobody else can write to the output meanwhile.

--junit, --html and --markdown write what the verification found, passed or not, as those
of pgconv verify do.

Examples:
  pgconv convert fixtures/shapes --to onnx --dtype fp16
  pgconv convert ./paligemma-3b-mix-224 --to onnx --dtype fp16 --out bundles/mix-224
  pgconv convert ./paligemma-3b-mix-224 --to wgsl --dtype int4 --out bundles/mix-224-wgsl --no-verify
  pgconv convert ./paligemma-3b-mix-224 --to tfjs --dtype int4 --out bundles/mix-224-tfjs --no-verify
  pgconv convert fixtures/shapes --to onnx --dtype fp16 --print-ir after=cast_floats
  pgconv convert fixtures/shapes --to onnx --dtype int4 --calibrate fixtures/shapes
  pgconv convert fixtures/shapes --to onnx --dtype int4 --calibrate photos --target-kld 0.01
  pgconv convert ./paligemma-3b-mix-224 --to onnx --dtype int4 --calibrate photos --budget 2GB
  pgconv convert fixtures/segments/hf --to onnx --dtype fp16 --mask-decoder fixtures/segments/vae-oid.npz
  pgconv convert ./paligemma2-3b-mix-448 --to onnx --dtype q4f16 --mixed auto --no-verify
  pgconv convert ./my-finetune --to onnx --dtype fp16 --against golden.safetensors
  pgconv convert fixtures/shapes --to onnx --dtype fp16 --html reports/shapes.html
  pgconv convert pt_224.bf16.npz --to onnx --dtype fp16 --tokenizer paligemma_tokenizer.model
  pgconv convert fixtures/shapes/hf --adapter fixtures/shapes/lora-shapes --to onnx --dtype fp16
  pgconv convert ./paligemma2-3b-pt-896 --to onnx --dtype fp16 --reference bigvision --no-verify`;

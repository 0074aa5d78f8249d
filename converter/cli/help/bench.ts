/** Help of `pgconv bench`, below its options. */
export const BENCH_HELP = `
All bundles are opened, and then asked by turns, so that a machine whose speed drifts is
as unfair to one as to the other; the first run of each does not count. Every run reads a
picture and its prompt and makes as many tokens as --tokens says, also where the model
would end. Memory is what this process took more: a GPU's own and a browser's are not in
it. What is timed goes through the calls that verify makes, which copy logits to the host
after each token; pgconv/runtime does not, and is faster on a GPU.

Examples:
  pgconv bench shapes-onnx-fp16
  pgconv bench shapes-onnx-fp16 shapes-onnx-int4 --runs 9
  pgconv bench bundles/mix-224-wgsl --device webgpu --image photo.jpg --prompt "caption en"
  pgconv bench bundles/mix-224 --tokens 64 --json`;

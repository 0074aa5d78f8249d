/** Help of `pgconv record`, below its options. */
export const RECORD_HELP = `
A bundle is verified against weights that pgconv itself reads; only the original
implementation, run on your checkpoint, tells whether that reading is right. The file that
this writes needs nothing of pgconv: copy it to where your model runs. It needs torch and
transformers (4.42 or later; peft for an adapter), or jax, flax and a checkout of
big_vision, and runs on a GPU or a CPU, in float32 whatever the checkpoint is in:

  python record_paligemma.py --checkpoint ./my-finetune --samples photos/ --out golden.safetensors

It writes golden.safetensors and golden.json, of which docs/recording.md is the format.
--samples is a folder (cases.json or eval.json; a.png with a.txt; pictures with prompts.txt)
or a JSON file with cases; --adapter a PEFT adapter; --stages every layer's output, so that
the first stage that differs can be named; --device cpu or cuda. What would make a wrong
recording is refused by name: another arithmetic than float32, attention that is not eager,
a mask that is not the one of training, weights that were not loaded, a run that does not
give the same twice.

The two files are what verify and convert take with --against. A bundle of another
checkpoint than the recorded one (by sha256) is refused.

Examples:
  pgconv record --script record_paligemma.py
  pgconv verify my-finetune-onnx-fp16 --against golden.safetensors
  pgconv convert ./my-finetune --to wgsl --dtype int4 --no-verify --against golden.safetensors`;

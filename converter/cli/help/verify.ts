/** Help of `pgconv verify`, below its options. */
export const VERIFY_HELP = `
First every byte of the bundle is checked against its manifest. Then it runs in its own
runtime, beside the reference: the weights of the checkpoint evaluated in float64
(--against <checkpoint>, a path or a Hub id in the local cache; the default is the one
that was converted), or what the original implementation was seen to compute (--against
golden.safetensors, which the script of pgconv record writes). Compared are image features,
logits of every position, greedy tokens with the margin of ties, a left-padded batch, and
the bundle with itself; of a ColPali its vectors, their length and padding, and MaxSim
scores. On failure the first stage that diverges is named, and the exit code is 1.

A failure has a cause in a pass over the graphs, or in what comes after: lowering, files,
runtime. The program is then evaluated after each pass, on the first row of the case that
failed, and the first pass that changed values is named, with the stage; small models so
by themselves, others with --bisect, which takes some runs of the reference.

A bundle is compared as it was converted: with the reference, softcap, window and
adapters that its manifest records. With --against <checkpoint>, the adapters are those
of --adapter: none, for a checkpoint into which they were merged already.

A folder that another program exported (embed_tokens, vision_encoder and decoder graphs, in
onnx/ or beside the configs) or a single decoder .onnx has no manifest: --against says what
it was made of, ports are known by their names or by --map, and its stages are looked for by
their values. docs/verifying-any-export.md has the walk.

For those who are not at the terminal, --junit, --html and --markdown write what was found:
the verdict by link (weights, program, original), what differs first, what to try, and
every comparison; --html also the error of each stage beside its limit as a plot, for which
one case is run once more where nothing failed. What stops a verification is in them too.
In a job of GitHub Actions its summary and annotations are written without asking.

A bundle can get worse within its limits. --baseline holds its figures against those of a
file, and fails when one is worse by more than noise: last bits of f32, and a fifth of a
mean divergence. --update-baseline writes the file, which is there to be committed; keep
one for each bundle and device. docs/ci.md shows reports, baseline and a GitHub Action.

Examples:
  pgconv verify shapes-onnx-fp16
  pgconv verify shapes-onnx-fp16 --bisect
  pgconv verify shapes-onnx-fp16 --against fixtures/shapes/bv_f32.npz --json
  pgconv verify shapes-onnx-fp16 --junit reports/verify.xml --html reports/verify.html
  pgconv verify shapes-onnx-fp16 --baseline parity/onnx-fp16.json --update-baseline
  pgconv verify shapes-onnx-fp16 --baseline parity/onnx-fp16.json --markdown verify.md
  pgconv verify my-finetune-onnx-fp16 --against golden.safetensors
  pgconv verify tiny-onnx-fp32 --against fixtures/pg1-tiny/golden.safetensors --device webgpu
  pgconv verify shapes-wgsl-int4 --device browser --browser /usr/bin/google-chrome
  pgconv verify ./their-export --variant-suffix _fp16 --against ./paligemma-3b-mix-224
  pgconv verify decoder.onnx --against ./paligemma-3b-mix-224 --map inputs_embeds=x`;

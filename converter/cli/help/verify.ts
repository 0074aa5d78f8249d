/** Help of `pgconv verify`, below its options. */
export const VERIFY_HELP = `
First every byte of the bundle is checked against its manifest. Then it runs in its own
runtime, beside the reference: the weights of the checkpoint evaluated in float64
(--against <checkpoint>, a path or a Hub id in the local cache; the default is the one
that was converted), or what another implementation was seen to compute (--against
golden.safetensors, with stages.safetensors beside it). Compared are image features,
logits of every position, greedy tokens with the margin of ties, a left-padded batch, and
the bundle with itself; of a ColPali its vectors, their length and padding, and MaxSim
scores. On failure the first stage that diverges is named, and the exit code is 1.

A bundle is compared as it was converted: with the reference, softcap, window and
adapters that its manifest records. With --against <checkpoint>, the adapters are those
of --adapter: none, for a checkpoint into which they were merged already.

Examples:
  pgconv verify shapes-onnx-fp16
  pgconv verify shapes-onnx-fp16 --against fixtures/shapes/bv_f32.npz --json
  pgconv verify tiny-onnx-fp32 --against fixtures/pg1-tiny/golden.safetensors --device webgpu`;

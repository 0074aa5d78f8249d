/** Help of `pgconv synth`, below its options. */
export const SYNTH_HELP = `
Values are random and seeded: the same command gives the same bytes. Shapes, names and
file layout are those of the published checkpoints, so that time, memory and size can be
tested without the gated weights. What such a model says is noise.

Examples:
  pgconv synth --variant paligemma-3b-224 --format hf --dtype bf16 --out /tmp/3b
  pgconv synth --variant paligemma-3b-448 --format npz --dtype f16 --out /tmp/small --layers 2 --vision-layers 2`;

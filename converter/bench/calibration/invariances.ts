import type { Tensor } from '../../../ir/tensor.ts';
import { valuesLike, weightNamed, withWeights, type HeldCheckpoint } from './held_checkpoint.ts';

/** What makes channels, and the matrices that read them. `gain` is what a norm adds to its weight. */
const FORMS = [
  {
    makes: '.input_layernorm.weight',
    gain: 1,
    with: [],
    reads: ['.self_attn.q_proj.weight', '.self_attn.k_proj.weight', '.self_attn.v_proj.weight'],
  },
  {
    makes: '.post_attention_layernorm.weight',
    gain: 1,
    with: [],
    reads: ['.mlp.gate_proj.weight', '.mlp.up_proj.weight'],
  },
  { makes: '.mlp.up_proj.weight', gain: 0, with: [], reads: ['.mlp.down_proj.weight'] },
  {
    makes: '.layer_norm1.weight',
    gain: 0,
    with: ['.layer_norm1.bias'],
    reads: ['.self_attn.q_proj.weight', '.self_attn.k_proj.weight', '.self_attn.v_proj.weight'],
  },
  { makes: '.layer_norm2.weight', gain: 0, with: ['.layer_norm2.bias'], reads: ['.mlp.fc1.weight'] },
] as const;

/**
 * The same function with scaled channels: every norm's and every unit of a gated MLP times a number, and the columns
 * that read it divided by it; `scalesOf` so many channels. Of a Gemma 1, whose norms multiply by 1 + weight.
 */
export function withScaledChannels(
  held: HeldCheckpoint,
  scalesOf: (channels: number) => readonly number[],
): HeldCheckpoint {
  let result = held;
  for (const { makes, gain, with: beside, reads } of FORMS)
    for (const name of held.weights.keys()) {
      if (!name.endsWith(makes)) continue;
      const prefix = name.slice(0, -makes.length);
      const named = (suffix: string) => weightNamed(result, prefix + suffix);
      const made = named(makes);
      const scales = scalesOf(made.shape[0]!);
      result = withWeights(
        result,
        new Map<string, Tensor>([
          [name, timesRows(made, scales, gain)],
          ...beside.map((suffix) => [prefix + suffix, timesRows(named(suffix), scales, 0)] as const),
          ...reads.map((suffix) => [prefix + suffix, overColumns(named(suffix), scales)] as const),
        ]),
      );
    }
  return result;
}

function timesRows(tensor: Tensor, scales: readonly number[], gain: number): Tensor {
  const width = tensor.data.length / scales.length;
  return valuesLike(
    tensor,
    Array.from(tensor.data, (x, i) => (x + gain) * scales[Math.floor(i / width)]! - gain),
  );
}

function overColumns(tensor: Tensor, scales: readonly number[]): Tensor {
  return valuesLike(
    tensor,
    Array.from(tensor.data, (x, i) => x / scales[i % scales.length]!),
  );
}

import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import type { Graph } from '../../../ir/graph.ts';

export interface DecoderCall {
  readonly batch: number;
  readonly seq: number;
  /** Padding before the first row's tokens. */
  readonly padding: number;
  readonly keep: number;
  /** Outputs of the call before; none for a prompt. */
  readonly before?: Readonly<Record<string, Tensor>>;
  readonly seed: number;
}

/** Inputs of a decoder graph, random where they are activations. */
export function decoderInputs(
  { inputs }: Graph,
  { batch, seq, padding, keep, before, seed }: DecoderCall,
): Record<string, Tensor> {
  const shapeOf = (name: string) => inputs.find((input) => input.name === name)!.type.shape as readonly number[];
  const past = before ? before['present.0.key']!.shape[2]! : 0;
  const positions = Array.from({ length: batch * seq }, (_, i) =>
    Math.max(0, past + (i % seq) - (i < seq ? padding : 0)),
  );
  const mask = Array.from({ length: batch * (past + seq) }, (_, i) => (i < padding ? 0 : 1));
  const caches = inputs
    .filter(({ name }) => name.startsWith('past_key_values.'))
    .map(({ name, type }): [string, Tensor] => {
      const [, heads, , size] = type.shape as readonly [unknown, number, unknown, number];
      return [
        name,
        before?.[name.replace('past_key_values', 'present')] ?? tensorOf('f32', [batch, heads, 0, size], []),
      ];
    });
  return {
    inputs_embeds: randomTensor('f32', [batch, seq, shapeOf('inputs_embeds')[2]!], seed),
    attention_mask: tensorOf('i64', [batch, past + seq], mask),
    position_ids: tensorOf('i64', [batch, seq], positions),
    num_logits_to_keep: tensorOf('i64', [], [keep]),
    ...Object.fromEntries(caches),
  };
}

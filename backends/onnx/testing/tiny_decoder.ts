import { expect } from 'vitest';
import type { Program } from '../../../ir/graph.ts';
import { castFloats, runPassesOnProgram } from '../../../ir/passes/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import type { Runner } from '../../backend.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';

/** Sums of some tens of f32 products in another order than the evaluator's float64. */
export const F32 = { absolute: 2e-5, relative: 1e-5 };

/** Inputs of the decoder of `tinyProgram`, its second position masked. */
export function decoderInputs(
  batch: number,
  seq: number,
  past: number,
  keep: number,
  dtype: 'f32' | 'f16' = 'f32',
): Record<string, Tensor> {
  const total = past + seq;
  const caches = [0, 1].flatMap((i) =>
    ['key', 'value'].map(
      (kind, j) => [`past_key_values.${i}.${kind}`, randomTensor(dtype, [batch, 1, past, 8], 10 * i + j)] as const,
    ),
  );
  return {
    inputs_embeds: randomTensor('f32', [batch, seq, 16], 7),
    attention_mask: tensorOf(
      'i64',
      [batch, total],
      Array.from({ length: batch * total }, (_, i) => (i % total === 0 && i > 0 ? 0 : 1)),
    ),
    position_ids: tensorOf(
      'i64',
      [batch, seq],
      Array.from({ length: batch * seq }, (_, i) => past + 1 + (i % seq)),
    ),
    num_logits_to_keep: tensorOf('i64', [], [keep]),
    ...Object.fromEntries(caches),
  };
}

/** f16 products in f16 graphs: 2^-11 of values up to about 8, a few times over. */
export const F16 = { absolute: 2e-2, relative: 5e-3 };

/** The program in f16. */
export const fp16 = (program: Program) => runPassesOnProgram(program, [castFloats({ to: 'f16' })]);
/** Every output and stage of a graph is that of the reference. */
export async function expectSame(
  runner: Runner,
  reference: Runner,
  graph: string,
  inputs: Record<string, Tensor>,
  tolerance: Tolerance,
  stages: readonly string[] = [],
): Promise<void> {
  const [actual, expected] = [
    await runner.run(graph, inputs, { stages }),
    await reference.run(graph, inputs, { stages }),
  ];
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) expectClose(name, actual[name], tensor, tolerance);
}

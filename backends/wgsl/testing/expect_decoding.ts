import { expect } from 'vitest';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { graphNamed, type Program } from '../../../ir/graph.ts';
import { quantizeWeights, runPassesOnProgram } from '../../../ir/passes/index.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import type { Scheme } from '../../../ir/quantize/scheme.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import type { Runner } from '../../backend.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';
import type { CompileOptions } from '../compile/compile.ts';
import { decoderInputs, type DecoderCall } from './decoder_inputs.ts';
import { memoryRunner } from './memory_runner.ts';

/** f32 sums in another order; activations are of the order of 1. */
const CLOSE: Tolerance = { absolute: 5e-6, relative: 5e-6 };

/** The same program in two things that run it. */
export interface Pair {
  readonly runner: Runner;
  readonly reference: Runner;
}

/** Runs both; returns what the reference gave. */
export async function expectSame(
  { runner, reference }: Pair,
  graph: string,
  inputs: Readonly<Record<string, Tensor>>,
  stages: readonly string[] = [],
): Promise<Readonly<Record<string, Tensor>>> {
  const expected = await reference.run(graph, inputs, { stages });
  const actual = await runner.run(graph, inputs, { stages });
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) expectClose(`${graph} ${name}`, actual[name], tensor, CLOSE);
  return expected;
}

/** A prompt of two rows, one of them padded, two tokens one after the other, and a piece of three. */
export async function expectSameDecoding(program: Program, options?: CompileOptions): Promise<void> {
  const both = { runner: await memoryRunner(program, options), reference: evaluatorRunner(program) };
  const decoder = graphNamed(program, 'decoder');
  const stages = decoder.stages.map(({ name }) => name);
  const call = (rest: Partial<DecoderCall>) =>
    decoderInputs(decoder, { batch: 2, seq: 1, padding: 2, keep: 1, seed: 1, ...rest });
  let before = await expectSame(both, 'decoder', call({ seq: 5 }), stages);
  before = await expectSame(both, 'decoder', call({ before, seed: 2 }), stages);
  before = await expectSame(both, 'decoder', call({ before, seed: 3, keep: 0 }), stages);
  await expectSame(both, 'decoder', call({ before, seq: 3, seed: 4, keep: 0 }), stages);
  const ids = (...values: number[]) => ({ input_ids: tensorOf('i64', [values.length / 2, 2], values) });
  await expectSame(both, 'embed_tokens', ids(0, 5, 17, 2));
  await expectSame(both, 'embed_tokens', { input_ids: tensorOf('i64', [3, 1], [4, 0, 23]) });
  await both.runner.dispose();
}

/** A program with its matrices in codes. */
export const coded = (program: Program, scheme: Scheme): Program =>
  runPassesOnProgram(program, [
    quantizeWeights({ schemeOf: () => scheme, quantize: (data, own) => quantizeMatrix(data, own) }),
  ]);

import { expect } from 'vitest';
import type { DType } from '../../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { Graph } from '../../../ir/graph.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import { runPasses, storeWeights } from '../../../ir/passes/index.ts';
import { accuracyOf } from '../../testing/accuracy.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';
import { opGraph, opInputs, type OpCase } from '../../testing/op_case.ts';
import { opCases } from '../../testing/op_cases.ts';
import { programOf } from '../../testing/tiny_program.ts';
import { checkOps } from '../check/check_ops.ts';
import { beforeLowering, lowerGraph } from '../lower.ts';
import { registerPackedOp } from '../packed/register.ts';
import { testEngine, type Device } from './engine.ts';
import { loadedModel, runModel } from './graph_model.ts';

/** Moves, comparisons, casts, and operations that IEEE 754 rounds correctly. */
const EXACT: Tolerance = { absolute: 0, relative: 0 };
/** Transcendental functions to a few units in the last place; sums of a few products in another order. */
const CLOSE: Tolerance = { absolute: 2e-6, relative: 2e-6 };
/** GPUs divide and take roots to a few units in the last place (WGSL 1.0, 15.7.4), and contract a·b + c. */
const GPU: Tolerance = { absolute: 1e-5, relative: 1e-5 };

/** f16 is how weights are stored: `half` has them so, and computes in f32. */
type Holding = Exclude<DType, 'f16' | 'bf16'> | 'half';

interface Case {
  readonly op: OpName;
  readonly title: string;
  readonly opCase: OpCase;
  readonly holding: Holding;
}

function casesOf(op: OpName): readonly Case[] {
  return opCases[op].flatMap((opCase) => {
    const dtypes = (opCase.dtypes ?? (['f32', 'f16'] as const)).map((dtype) =>
      dtype === 'f16' ? 'half' : (dtype as Holding),
    );
    return dtypes.map((holding): Case => ({ op, title: `${opCase.title}, ${holding}`, opCase, holding }));
  });
}

const all = (Object.keys(opCases) as OpName[]).flatMap(casesOf);
/** Cases that a bundle can have, and those that none has. */
export const computed = all.filter((one) => !isRefused(one));
export const refused = all.filter(isRefused);
/** Codes that stay packed: by the op of our own. */
export const packable = computed.filter(({ op, holding }) => op === 'quantized_linear' && holding === 'f32');

function isRefused({ opCase }: Case): boolean {
  return opCase.attrs?.['to'] === 'f16';
}

/** A graph of one op, as a case holds its floats. */
export function graphOf({ op, opCase, holding }: Case): Graph {
  return holding === 'half'
    ? runPasses(opGraph(op, opCase, 'f32'), [storeWeights('f16')])
    : opGraph(op, opCase, holding);
}

/** An op through a graph model on a device is within a tolerance of the evaluator, and leaves no tensor behind. */
export async function expectConformance(device: Device, one: Case, profile: 'std' | 'packed' = 'std'): Promise<void> {
  const graph = graphOf(one);
  const engine = await testEngine(device);
  const before = engine.tf.memory().numTensors;
  if (profile === 'packed') registerPackedOp({ ...engine.tf, ...engine.converter });
  const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), { profile });
  checkOps(lowered, profile);
  const model = await loadedModel(engine, lowered);
  const reference = evaluatorRunner(programOf(graph));
  const tolerance =
    device === 'webgpu' && one.holding !== 'bool' ? GPU : accuracyOf(one.op) === 'approximate' ? CLOSE : EXACT;
  for (const [seed, sizes] of one.opCase.sizes.entries()) {
    const inputs = opInputs(graph, sizes, 100 * seed);
    const [actual, expected] = [
      await runModel(engine, model, lowered, graph, inputs),
      await reference.run(graph.name, inputs),
    ];
    for (const [port, tensor] of Object.entries(expected))
      expectClose(`${one.op}, ${one.title}, ${JSON.stringify(sizes)}: ${port}`, actual[port], tensor, tolerance);
  }
  model.dispose();
  expect(engine.tf.memory().numTensors).toBe(before);
}

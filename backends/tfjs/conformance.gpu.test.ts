import { describe, expect, it } from 'vitest';
import type { DType } from '../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Graph } from '../../ir/graph.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { runPasses, storeWeights } from '../../ir/passes/index.ts';
import { accuracyOf } from '../testing/accuracy.ts';
import { expectClose, type Tolerance } from '../testing/compare.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { opGraph, opInputs, type OpCase } from '../testing/op_case.ts';
import { opCases } from '../testing/op_cases.ts';
import { programOf } from '../testing/tiny_program.ts';
import { checkOps } from './check/check_ops.ts';
import { beforeLowering, lowerGraph } from './lower.ts';
import { registerPackedOp } from './packed/register.ts';
import { testEngine, type Device } from './testing/engine.ts';
import { loadedModel, runModel } from './testing/graph_model.ts';

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
const computed = all.filter((one) => !isRefused(one));

function isRefused({ opCase }: Case): boolean {
  return opCase.attrs?.['to'] === 'f16';
}

function graphOf({ op, opCase, holding }: Case): Graph {
  return holding === 'half'
    ? runPasses(opGraph(op, opCase, 'f32'), [storeWeights('f16')])
    : opGraph(op, opCase, holding);
}

async function expectConformance(device: Device, one: Case, profile: 'std' | 'packed' = 'std'): Promise<void> {
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

describe.each(['cpu', 'wasm'] as const)('each op on %s equals the evaluator', (device) => {
  it.each(computed)('$op: $title', (one) => expectConformance(device, one));
});

/** What is written in another way than the first case of its op is. */
const furtherForms: ReadonlySet<string> = new Set([
  'matmul: broadcast leading axes, f32',
  'where: of bools, bool',
  'cast: to bool, f32',
  'linear: with bias, f32',
  'linear: with a computed weight, f32',
  'quantized_gather: nf4, a row that ends within a block, f32',
  'quantized_linear: u8, a scale a row, f32',
  'take_last: 2, f32',
]);

describe('each op on webgpu equals the evaluator', () => {
  const first = new Set((Object.keys(opCases) as OpName[]).map((op) => computed.find((one) => one.op === op)));
  for (const one of computed.filter((one) => first.has(one) || furtherForms.has(`${one.op}: ${one.title}`)))
    itOnGpu(`${one.op}: ${one.title}`, () => expectConformance('webgpu', one));

  it('has every further form', () => {
    const titles = new Set(computed.map(({ op, title }) => `${op}: ${title}`));
    expect([...furtherForms].filter((title) => !titles.has(title))).toEqual([]);
  });
});

const packable = computed.filter(({ op, holding }) => op === 'quantized_linear' && holding === 'f32');

/** Codes that stay packed: by the op of our own. Sums of products are f64 on the host. */
describe.each(['cpu', 'wasm'] as const)('packed weights on %s', (device) => {
  it.each(packable)('$title', (one) => expectConformance(device, one, 'packed'));
});

describe('packed weights on webgpu', () => {
  for (const one of packable.filter(({ title }) => /^(u[48]|nf4), (a row that ends|whole)/.test(title)))
    itOnGpu(one.title, () => expectConformance('webgpu', one, 'packed'));
});

describe('what no bundle has', () => {
  it.each(all.filter(isRefused))('$op: $title is refused', (one) => {
    expect(() => lowerGraph(runPasses(graphOf(one), beforeLowering), { profile: 'std' })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});

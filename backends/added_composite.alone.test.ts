import { describe, expect, it, test, vi } from 'vitest';
import { GraphBuilder } from '../ir/builder.ts';
import { sym } from '../ir/dim.ts';
import { evaluatorRunner } from '../ir/evaluate.ts';
import type { Graph, Value } from '../ir/graph.ts';
import type * as Index from '../ir/ops/index.ts';
import { ops } from '../ir/ops/index.ts';
import { castFloats, runPasses } from '../ir/passes/index.ts';
import { tensorData, type Tensor } from '../ir/tensor.ts';
import { randomTensor } from '../ir/testing/random.ts';
import type { Runner } from './backend.ts';
import { open as openOnnx } from './onnx/run.ts';
import { emittedBundle as emittedOnnx } from './onnx/testing/emitted_bundle.ts';
import { expectClose } from './testing/compare.ts';
import { itOnGpu } from './testing/gpu.ts';
import { falselyElementwise, gatedGelu, leakyRelu, squaredRelu } from './testing/planted_composites.ts';
import { programOf } from './testing/tiny_program.ts';
import { beforeLowering, lowerGraph } from './tfjs/lower.ts';
import { shardOutputs } from './tfjs/parts/shard_outputs.ts';
import { testEngine } from './tfjs/testing/engine.ts';
import { loadedModel, runModel } from './tfjs/testing/graph_model.ts';
import { compile } from './wgsl/compile/compile.ts';
import { openedBundle } from './wgsl/testing/opened_bundle.ts';

/*
 * Composites with their lines in the index, and nothing else told of them: what follows works by what an op says of
 * itself.
 */
vi.mock('../ir/ops/index.ts', async (importOriginal) => {
  const index = await importOriginal<typeof Index>();
  const planted = Object.values(await import('./testing/planted_composites.ts'));
  Object.assign(index.ops, Object.fromEntries(planted.map((op) => [op.name, op])));
  return index;
});

const [ROWS, WIDTH, INNER] = [5, 8, 12];
const inputs: Readonly<Record<string, Tensor>> = { x: randomTensor('f32', [ROWS, WIDTH], 1) };

function graphOf(build: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder('main');
  b.output('y', build(b, b.input('x', { dtype: 'f32', shape: [sym('batch_size'), WIDTH] })));
  return b.build();
}

function linear(b: GraphBuilder, x: Value, seed: number): Value {
  return b.op(ops.linear, [x, b.weight(`w${seed}`, tensorData(randomTensor('f32', [INNER, WIDTH], seed)))], {});
}

/** Behind a product, one after the other, twice with other attributes. */
const behindProduct = graphOf((b, x) => {
  const leaky = b.op(leakyRelu, [linear(b, x, 2)], { slope: 0.25 });
  const shifted = b.op(ops.sub, [b.op(squaredRelu, [leaky], {}), b.literal('f32', [], [0.5])], {});
  const up = b.weight('up', tensorData(randomTensor('f32', [INNER], 5)));
  return b.op(gatedGelu, [b.op(leakyRelu, [shifted], { slope: -2 }), up], {});
});
/** Of what is stored, behind it a movement. */
const ofInput = graphOf((b, x) => {
  const moved = b.op(ops.transpose, [b.op(squaredRelu, [x], {})], { perm: [1, 0] });
  return b.op(ops.mul, [moved, b.op(leakyRelu, [b.literal('f32', [], [-3])], { slope: 0.5 })], {});
});
const graphs = [
  { title: 'behind a product', graph: behindProduct },
  { title: 'of an input', graph: ofInput },
];

async function expectEvaluators(graph: Graph, run: (graph: Graph) => Promise<Record<string, Tensor>>): Promise<void> {
  const { y } = await evaluatorRunner(programOf(graph)).run('main', inputs);
  expectClose('y', (await run(graph))['y'], y!, { absolute: 1e-5, relative: 1e-5 });
}

async function runIn(runner: Runner): Promise<Record<string, Tensor>> {
  const results = await runner.run('main', inputs);
  await runner.dispose();
  return results;
}

describe('an elementwise composite that only its file and the index know', () => {
  test.each(graphs)('is fused by WGSL, $title: one kernel', ({ graph }) => {
    const { plan, shaders } = compile(programOf(graph));
    expect(plan.phases.map(({ steps }) => steps.length)).toEqual([1]);
    expect(shaders[0]!.text).toContain('fn squared_relu_of_f32(x0: f32) -> f32 {');
  });

  test('is one function of WGSL for each of its attributes, made of what it is made of', () => {
    const [shader] = compile(programOf(behindProduct)).shaders;
    const functions = [...shader!.text.matchAll(/fn (\w+_of_f32\w*)\([^]*?\n}\n/g)].map(([text]) => text);
    expect(functions.toSorted().join('')).toBe(`\
fn gated_gelu_of_f32_f32(x0: f32, x1: f32) -> f32 {
  let v0 = gelu_tanh(x0);
  let v1 = (v0 * x1);
  return v1;
}
fn leaky_relu_of_f32_slope_0_2e25(x0: f32) -> f32 {
  let v0 = (0f <= x0);
  let v1 = (x0 * 0.25f);
  let v2 = select(v1, x0, v0);
  return v2;
}
fn leaky_relu_of_f32_slope__2d2(x0: f32) -> f32 {
  let v0 = (0f <= x0);
  let v1 = (x0 * (-2f));
  let v2 = select(v1, x0, v0);
  return v2;
}
fn squared_relu_of_f32(x0: f32) -> f32 {
  let v0 = (0f <= x0);
  let v1 = select(0f, x0, v0);
  let v2 = (v1 * v1);
  return v2;
}
`);
  });

  test('is refused by WGSL when it is none', () => {
    const graph = graphOf((b, x) => b.op(falselyElementwise, [x], {}));
    expect(() => compile(programOf(graph))).toThrow(
      'falsely_elementwise is no function of single elements: it is made of reshape',
    );
  });

  for (const { title, graph } of graphs)
    itOnGpu(`is the evaluator’s in WGSL, ${title}`, () =>
      expectEvaluators(graph, async () => {
        await using bundle = await openedBundle(programOf(graph));
        return bundle.runner.run('main', inputs);
      }),
    );

  it.each(graphs)('is the evaluator’s in ONNX, $title', async ({ graph }) => {
    await using bundle = await emittedOnnx(programOf(graph));
    await expectEvaluators(graph, async () => runIn(await openOnnx(bundle.dir)));
  });

  it.each(graphs)('is the evaluator’s in tfjs, $title', ({ graph }) =>
    expectEvaluators(graph, async () => {
      const engine = await testEngine('cpu');
      const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), { profile: 'std' });
      const model = await loadedModel(engine, lowered);
      const results = await runModel(engine, model, lowered, graph, inputs);
      model.dispose();
      return results;
    }),
  );

  test('goes with the shards of a head', () => {
    const graph = graphOf((b, x) => {
      const logits = b.op(ops.concat, [linear(b, x, 2), linear(b, x, 3)], { axis: 1 });
      return b.op(squaredRelu, [logits], {});
    });
    expect(shardOutputs(graph).joins).toEqual([{ output: 'y', axis: 1, pieces: ['y.0', 'y.1'], rows: [INNER, INNER] }]);
  });

  test('is cast as it says', () => {
    const cast = runPasses(behindProduct, [castFloats({ to: 'f16' })]);
    const dtypes = cast.nodes.map((node) => `${node.op} ${node.outputs[0]!.type.dtype}`);
    expect(dtypes).toEqual(expect.arrayContaining(['squared_relu f16', 'leaky_relu f32']));
  });
});

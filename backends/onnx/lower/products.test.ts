import { expect, it } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import { evaluateGraph } from '../../../ir/evaluate.ts';
import type { Graph, NodeOf } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { modelFile } from '../model_file.ts';
import { fromOrt, toOrt } from '../ort_tensor.ts';
import { loadRuntime } from '../runtime.ts';
import { expectClose } from '../../testing/compare.ts';
import { randomWeight } from '../../testing/tiny_program.ts';
import { LoweringContext } from './context.ts';
import type { OnnxGraph, WeightInitializer } from './model.ts';
import { lowerLinear } from './products.ts';

/** One linear layer in which every weight counts as too large to transpose. */
function wide(rank: 2 | 3, bias: boolean): { graph: Graph; lowered: OnnxGraph } {
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype: 'f32', shape: rank === 2 ? [sym('b'), 7] : [sym('b'), sym('s'), 7] });
  b.output(
    'y',
    b.op(
      ops.linear,
      [x, b.weight('w', randomWeight('w', [5, 7])), ...(bias ? [b.weight('bias', randomWeight('bias', [5]))] : [])],
      {},
    ),
  );
  const graph = b.build();
  const context = new LoweringContext(graph);
  lowerLinear(context, graph.nodes[0] as NodeOf<'linear'>, 0);
  return { graph, lowered: context.finish() };
}

it.each([
  { rank: 2, bias: true, operators: 'Gemm' },
  { rank: 2, bias: false, operators: 'Gemm' },
  { rank: 3, bias: true, operators: 'Reshape Gemm Shape Concat Reshape' },
  { rank: 3, bias: false, operators: 'Reshape Gemm Shape Concat Reshape' },
] as const)(
  'a weight too large to transpose stays as it is: rank $rank, bias $bias',
  async ({ rank, bias, operators }) => {
    const { graph, lowered } = wide(rank, bias);
    expect(lowered.nodes.map((n) => n.opType).join(' ')).toBe(operators);
    const weights = lowered.initializers.filter((i): i is WeightInitializer => i.kind === 'weight');
    expect(weights.map(({ data }) => data.shape)).toEqual(bias ? [[5, 7], [5]] : [[5, 7]]);
    const pieces: Uint8Array[] = [];
    for await (const { bytes } of modelFile('g.onnx', lowered, weights, []).chunks()) pieces.push(bytes);
    const runtime = await loadRuntime();
    const session = await runtime.InferenceSession.create(Buffer.concat(pieces));
    for (const shape of rank === 2
      ? [
          [1, 7],
          [4, 7],
        ]
      : [
          [1, 1, 7],
          [2, 3, 7],
        ]) {
      const x = randomTensor('f32', shape, 3);
      const { y } = await session.run({ x: toOrt(runtime, 'x', x, 'f32') });
      // seven f32 products, summed in another order
      expectClose('y', fromOrt(y!), (await evaluateGraph(graph, { x }))['y']!, { absolute: 1e-6, relative: 1e-6 });
    }
    await session.release();
  },
);

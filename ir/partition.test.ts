import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import { checkGraph } from './check.ts';
import { sym } from './dim.ts';
import { evaluateGraph } from './evaluate.ts';
import type { Graph } from './graph.ts';
import { ops } from './ops/index.ts';
import { partition } from './partition.ts';
import { tensorData, type Tensor } from './tensor.ts';
import { randomTensor } from './testing/random.ts';

/**
 * Layers of a residual stream with a weight that two of them share, a mask that all of them need, and a cast of a
 * weight that stays near its user.
 */
function stream(layers: number): Graph {
  const b = new GraphBuilder('stream');
  let x = b.input('x', { dtype: 'f32', shape: [sym('b'), 4] });
  const mask = b.op(ops.tanh, [b.input('m', { dtype: 'f32', shape: [sym('b'), 4] })], {});
  const shared = b.weight('shared', tensorData(randomTensor('f16', [4, 4], 1)));
  const wide = b.op(ops.cast, [shared], { to: 'f32' });
  for (let i = 0; i < layers; i++) {
    const own = b.weight(`w${i}`, tensorData(randomTensor('f32', [4, 4], 2 + i)));
    const y = b.op(ops.linear, [b.op(ops.mul, [x, mask], {}), i % 2 === 0 ? wide : own], {});
    b.output(`y.${i}`, y);
    x = b.op(ops.add, [x, y], {});
    b.stage(`s.${i}`, x);
  }
  b.output('x_out', x);
  return b.build();
}

/** Runs pieces in order, each on what it asks for. */
async function runPieces(
  pieces: readonly Graph[],
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const known: Record<string, Tensor> = { ...inputs };
  for (const piece of pieces) {
    const own = Object.fromEntries(piece.inputs.map(({ name }) => [name, known[name]!]));
    Object.assign(known, await evaluateGraph(piece, own, { stages: piece.stages.map(({ name }) => name) }));
  }
  return known;
}

describe('pieces of a graph', () => {
  test('one after the other compute what the whole does, wherever it is cut', async () => {
    const graph = stream(5);
    const inputs = { x: randomTensor('f32', [2, 4], 50), m: randomTensor('f32', [2, 4], 51) };
    const whole = await evaluateGraph(graph, inputs, { stages: graph.stages.map(({ name }) => name) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: graph.nodes.length }), { maxLength: 4 }), async (cuts) => {
        const pieceOf = graph.nodes.map((_, i) => new Set(cuts.filter((cut) => cut <= i)).size);
        const first = pieceOf[0]!;
        const pieces = partition(
          graph,
          pieceOf.map((piece) => piece - first),
          (piece) => `p${piece}`,
        );
        for (const piece of pieces) checkGraph(piece);
        const results = await runPieces(pieces, inputs);
        for (const [name, { data }] of Object.entries(whole))
          expect(Array.from(results[name]!.data)).toEqual(Array.from(data));
      }),
      { numRuns: 60 },
    );
  });

  test('hand on values, and no weights', () => {
    const graph = stream(4);
    const half = graph.nodes.findIndex((node) => node.outputs[0] === graph.stages[1]!.value) + 1;
    const [first, second] = partition(
      graph,
      graph.nodes.map((_, i) => (i < half ? 0 : 1)),
      (piece) => `p${piece}`,
    ) as [Graph, Graph];
    expect(second.inputs.map(({ name }) => name).sort()).toEqual([graph.stages[1]!.value.name, 'tanh'].sort());
    const weights = ({ constants }: Graph) => constants.map(({ value }) => value.name);
    expect(weights(first)).toEqual(['shared', 'w1']);
    expect(weights(second)).toEqual(['shared', 'w3']);
    expect(second.stages.map(({ name }) => name)).toEqual(['s.2', 's.3']);
  });

  test('that need what comes later are refused', () => {
    const graph = stream(2);
    expect(() =>
      partition(
        graph,
        graph.nodes.map((_, i) => (i === 0 ? 1 : 0)),
        String,
      ),
    ).toThrow(/%\w+ is made in piece 1 and needed in piece 0/);
  });
});

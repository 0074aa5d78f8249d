import { expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import { sym } from './dim.ts';
import { isEarlier, type GraphRun } from './graph_run.ts';
import { ops } from './ops/index.ts';
import { RunState } from './run_state.ts';
import { tensor } from './testing/run_op.ts';
import { tensorType } from './type.ts';
import { WeightCache } from './weight_cache.ts';

/** A cache that grows by a row, of two steps behind a prompt, and whether its outputs are asked for. */
function steps(asked: Pick<GraphRun, 'outputs'>) {
  const b = new GraphBuilder('steps');
  const x = b.input('x', tensorType('f32', [1, 2]));
  const past = b.input('past', tensorType('f32', [sym('past'), 2]));
  const present = b.op(ops.concat, [past, x], { axis: 0 });
  b.output('present', present);
  b.output('y', b.op(ops.add, [x, x], {}));
  const graph = b.build();
  const one = tensor('f32', [1, 2], [1, 2]);
  const first = { inputs: { x: one, past: tensor('f32', [], [0, 2]) }, ...asked };
  const next = (run: number) => ({ inputs: { x: one, past: { run, output: 'present' } }, ...asked });
  const runs: GraphRun[] = [first, next(0), next(0)];
  const states: RunState[] = [];
  for (const [i, run] of runs.entries()) {
    const takers = runs.flatMap(({ inputs }) => Object.values(inputs)).filter((of) => isEarlier(of) && of.run === i);
    const lent = new Map(takers.length > 0 ? [['present', takers.length]] : []);
    states.push(new RunState(graph, graph.nodes, run, { before: states, lent, observed: false }));
  }
  const node = graph.nodes.find(({ outputs }) => outputs.includes(present))!;
  const compute = (state: RunState, rows: number) => {
    state.keep(present, { shape: [rows, 2], data: new Float64Array(2 * rows) }, node);
    state.drop(node.inputs);
  };
  const context = { weights: new Map(), cache: new WeightCache() };
  return { states, present, compute, results: (state: RunState) => state.results(context) };
}

test('a cache that nobody asked for is let go of when the last who takes it has', () => {
  const { states, present, compute } = steps({ outputs: ['y'] });
  const [first, second, third] = states as [RunState, RunState, RunState];
  compute(first, 1);
  expect(first.values.has(present)).toBe(true);
  compute(second, 2);
  expect(first.values.has(present)).toBe(true);
  compute(third, 2);
  expect(first.values.has(present)).toBe(false);
});

test('one that was asked for stays', () => {
  const { states, present, compute } = steps({});
  for (const [i, state] of states.entries()) compute(state, i === 0 ? 1 : 2);
  expect(states.map(({ values }) => values.has(present))).toEqual([true, true, true]);
});

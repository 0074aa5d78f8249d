import { expect, test } from 'vitest';
import type { GraphRun } from '../ir/graph_run.ts';
import { tensorOf } from '../ir/tensor.ts';
import { distinctRuns } from './repeated_runs.ts';

const x = (...values: number[]) => tensorOf('f32', [values.length], values);

test('runs that read the same are one, and what follows on either follows on that one', () => {
  const runs: GraphRun[] = [
    { inputs: { x: x(1, 2) } },
    { inputs: { x: x(3) } },
    { inputs: { x: x(1, 2) } },
    { inputs: { x: { run: 2, output: 'y' } } },
    { inputs: { x: { run: 0, output: 'y' } } },
    { inputs: { x: { run: 1, output: 'y' } } },
  ];
  const { distinct, places } = distinctRuns(runs);
  expect(places).toEqual([0, 1, 0, 2, 2, 3]);
  expect(distinct.slice(2).map(({ inputs }) => inputs['x'])).toEqual([
    { run: 0, output: 'y' },
    { run: 1, output: 'y' },
  ]);
});

test.each<[string, GraphRun, GraphRun]>([
  ['another value', { inputs: { x: x(1, 2) } }, { inputs: { x: x(1, 2.0000002) } }],
  ['another sign of zero', { inputs: { x: x(0) } }, { inputs: { x: x(-0) } }],
  ['another shape', { inputs: { x: x(1, 2) } }, { inputs: { x: tensorOf('f32', [2, 1], [1, 2]) } }],
  ['another dtype', { inputs: { x: tensorOf('i32', [1], [0]) } }, { inputs: { x: x(0) } }],
  ['another name', { inputs: { x: x(1) } }, { inputs: { z: x(1) } }],
  ['one more input', { inputs: { x: x(1) } }, { inputs: { x: x(1), z: x(1) } }],
  ['other stages', { inputs: { x: x(1) }, stages: ['lm.1'] }, { inputs: { x: x(1) } }],
  ['other outputs', { inputs: { x: x(1) }, outputs: ['y'] }, { inputs: { x: x(1) } }],
  ['stages of another to compute on', { inputs: { x: x(1) } }, { inputs: { x: x(1) }, given: { 'lm.1': x(1) } }],
  ['another output of an earlier run', { inputs: { x: x(1) } }, { inputs: { x: { run: 0, output: 'y' } } }],
])('%s makes another run', (_, a, b) => {
  expect(distinctRuns([a, b]).places).toEqual([0, 1]);
});

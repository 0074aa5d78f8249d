import { expect, test } from 'vitest';
import { bindSizes } from './bind_sizes.ts';
import type { Phase, Plan, PlannedValue, Size } from './bundle/plan.ts';

const symbols = ['batch', 'capacity', 'kept', 'past', 'seq'];
const size = (constant: number, ...names: string[]): Size => ({
  constant,
  terms: names.map((name) => ({ symbol: symbols.indexOf(name), factor: 1 })),
});
const value = (name: string, shape: readonly Size[], growing?: number): PlannedValue => ({
  name,
  type: 'f32',
  shape,
  buffer: 0,
  ...(growing !== undefined && { growing }),
});
const plan: Plan = { symbols, shards: [], weights: [], shaders: [], pipelines: [], buffers: [], phases: [] };
const phase: Phase = {
  name: 'decoder',
  graph: 'decoder',
  fixed: [],
  scalars: [{ symbol: 2, input: 'keep', whenZero: size(0, 'seq') }],
  inputs: [
    value('mask', [size(0, 'batch'), size(0, 'past', 'seq')], 1),
    value('x', [size(0, 'batch'), size(0, 'seq'), size(8)]),
    value('keep', []),
    value('cache', [size(0, 'batch'), size(0, 'past')], 1),
  ],
  outputs: [value('grown', [size(0, 'batch'), size(0, 'past', 'seq')], 1)],
  inPlace: [],
  stages: [],
  steps: [],
};
const shapes = (mask: number[], x: number[], cache: number[]) => ({
  mask: { shape: mask },
  x: { shape: x },
  keep: { shape: [] },
  cache: { shape: cache },
});

test('shapes state sizes, sums as well; scalars are at most their axis, and 0 is all of it', () => {
  const inputs = shapes([2, 20], [2, 3, 8], [2, 17]);
  expect(bindSizes(plan, phase, inputs, () => 1)).toEqual({ batch: 2, seq: 3, past: 17, kept: 1, capacity: 32 });
  expect(bindSizes(plan, phase, inputs, () => 0)).toMatchObject({ kept: 3 });
  expect(bindSizes(plan, phase, inputs, () => 9)).toMatchObject({ kept: 3 });
});

test('there is always room behind what grows', () => {
  expect(bindSizes(plan, phase, shapes([1, 16], [1, 16, 8], [1, 0]), () => 1)).toMatchObject({ past: 0, capacity: 32 });
});

test('contradictions are errors', () => {
  const bound =
    (...given: Parameters<typeof shapes>) =>
    () =>
      bindSizes(plan, phase, shapes(...given), () => 1);
  expect(bound([2, 20], [3, 3, 8], [2, 17])).toThrow('"x" has a size of 3 where the others say 2');
  expect(bound([2, 20], [2, 3, 9], [2, 17])).toThrow('"x" has a size of 9 where the others say 8');
  expect(bound([2, 20], [2, 3, 8], [2, 18])).toThrow('"mask" has a size of 20 where the others say 21');
  expect(bound([2, 20], [2, 3], [2, 17])).toThrow('"x" has 2 axes, not 3');
});

test('a size that only a sum has is what the sum leaves once the others are known, in any order of inputs', () => {
  const inputs = [
    value('all', [size(0, 'batch', 'past', 'seq')]),
    value('mask', [size(0, 'past', 'seq')]),
    value('x', [size(0, 'seq')]),
  ];
  const given = { all: { shape: [10] }, mask: { shape: [8] }, x: { shape: [3] } };
  for (const order of [inputs, inputs.toReversed()]) {
    const bare = { ...phase, scalars: [], inputs: order, outputs: [] };
    expect(bindSizes(plan, bare, given, () => 0)).toMatchObject({ batch: 2, past: 5, seq: 3 });
  }
});

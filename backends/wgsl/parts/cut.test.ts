import { describe, expect, it } from 'vitest';
import type { Phase, Plan, PlannedValue, Step } from '../bundle/plan.ts';
import { cutPhase } from './cut.ts';

/** Buffers of the plan below. */
const [INPUT, CACHE, HIDDEN, SCRATCH, OUTPUT] = [0, 1, 2, 3, 4];

const value = (name: string, buffer: number): PlannedValue => ({ name, type: 'f32', shape: [], buffer });

interface Made {
  readonly weight?: number;
  readonly reads?: readonly number[];
  readonly writes: readonly number[];
  readonly produces?: readonly PlannedValue[];
}

/** A pipeline a step, since it says which bindings are written. Each weight is a shard of 100 bytes. */
function planOf(made: readonly Made[], ports: Partial<Phase> = {}): { plan: Plan; phase: Phase } {
  const steps = made.map(({ weight, reads = [], writes, produces = [] }, i): Step => ({
    label: `step ${i}`,
    pipeline: i,
    bindings: [
      ...(weight === undefined ? [] : [{ kind: 'weight' as const, index: weight }]),
      ...[...reads, ...writes].map((index) => ({ kind: 'buffer' as const, index })),
    ],
    grid: [ONE, ONE, ONE],
    produces,
  }));
  const phase: Phase = {
    name: 'decoder',
    graph: 'decoder',
    fixed: [],
    scalars: [],
    inputs: [value('x', INPUT)],
    outputs: [value('y', OUTPUT)],
    inPlace: [],
    stages: [value('lm.0', INPUT), value('lm.1', HIDDEN)],
    steps,
    ...ports,
  };
  const plan: Plan = {
    symbols: [],
    shards: ['a', 'b', 'c'].map((path) => ({ path, byteLength: 100, sha256: '' })),
    weights: ['A', 'B', 'C'].map((name, shard) => ({ name, shard, offset: 0, byteLength: 100 })),
    shaders: [],
    pipelines: made.map(({ weight, reads = [], writes }) => ({
      variants: [],
      access: [
        ...(weight === undefined ? [] : ['read' as const]),
        ...reads.map(() => 'read' as const),
        ...writes.map(() => 'read_write' as const),
      ],
    })),
    buffers: [],
    phases: [phase],
  };
  return { plan, phase };
}

const ONE = { factors: [], divide: 1 };
const cut = ({ plan, phase }: ReturnType<typeof planOf>, linked: Record<string, string> = {}) =>
  cutPhase(plan, phase, { linked: new Map(Object.entries(linked)), maxBytes: 100 });

describe('a phase in parts', () => {
  const layers = planOf([
    { weight: 0, reads: [INPUT], writes: [SCRATCH], produces: [value('q', SCRATCH)] },
    { reads: [SCRATCH], writes: [HIDDEN], produces: [value('lm.1', HIDDEN)] },
    { weight: 1, reads: [HIDDEN], writes: [SCRATCH], produces: [value('k', SCRATCH)] },
    { weight: 2, reads: [SCRATCH], writes: [OUTPUT], produces: [value('y', OUTPUT)] },
  ]);

  it('has of each its own shards, inputs, outputs, and what the next reads', () => {
    const parts = cut(layers);
    expect(parts.map(({ phase }) => phase.steps.map(({ label }) => label))).toEqual([
      ['step 0', 'step 1'],
      ['step 2'],
      ['step 3'],
    ]);
    expect(parts.map(({ plan }) => plan.shards.map(({ path }) => path))).toEqual([['a'], ['b'], ['c']]);
    // the weight of a step is in the only shard that is there
    expect(parts.map(({ phase }) => phase.steps[0]!.bindings[0])).toEqual(
      [0, 1, 2].map((index) => ({ kind: 'weight', index })),
    );
    expect(parts[2]!.plan.weights[2]).toMatchObject({ name: 'C', shard: 0 });
    expect(
      parts.map(({ phase: { inputs, outputs } }) => [inputs, outputs].map((ports) => ports.map((p) => p.name))),
    ).toEqual([
      [['x'], []],
      [[], []],
      [[], ['y']],
    ]);
    expect(parts.map(({ carried, made, kept }) => ({ carried, made, kept }))).toEqual([
      { carried: [], made: [HIDDEN], kept: [HIDDEN] },
      { carried: [HIDDEN], made: [SCRATCH], kept: [SCRATCH] },
      { carried: [SCRATCH], made: [], kept: [] },
    ]);
  });

  it('names the stage that a part begins with, and no other value', () => {
    expect(cut(layers).map(({ begins }) => begins?.name)).toEqual([undefined, 'lm.1', undefined]);
  });

  it('carries a value that several steps write, each its rows, and not what is written over next', () => {
    const rows = planOf([
      { weight: 0, reads: [INPUT], writes: [SCRATCH, HIDDEN] },
      { weight: 1, reads: [INPUT], writes: [SCRATCH], produces: [value('q', SCRATCH)] },
      { weight: 2, reads: [SCRATCH], writes: [HIDDEN, OUTPUT], produces: [value('h', HIDDEN), value('y', OUTPUT)] },
    ]);
    const parts = cut(rows);
    expect(parts.map(({ carried }) => carried)).toEqual([[], [SCRATCH], [HIDDEN, SCRATCH]]);
    const over = planOf([
      { weight: 0, reads: [INPUT], writes: [SCRATCH], produces: [value('q', SCRATCH)] },
      { weight: 1, reads: [INPUT], writes: [SCRATCH], produces: [value('k', SCRATCH)] },
      { reads: [SCRATCH], writes: [OUTPUT], produces: [value('y', OUTPUT)] },
    ]);
    expect(cut(over).map(({ carried }) => carried)).toEqual([[], []]);
  });

  it('writes a cache where it is first touched, and gives it where it was last written', () => {
    const caches = {
      inputs: [value('x', INPUT), value('past', CACHE)],
      outputs: [value('present', CACHE), value('y', OUTPUT)],
    };
    const { plan, phase } = planOf(
      [
        { weight: 0, reads: [INPUT], writes: [SCRATCH], produces: [value('k', SCRATCH)] },
        { weight: 1, reads: [SCRATCH], writes: [CACHE], produces: [value('present', CACHE)] },
        { weight: 2, reads: [CACHE], writes: [OUTPUT], produces: [value('y', OUTPUT)] },
      ],
      caches,
    );
    const parts = cut({ plan, phase });
    expect(parts.map(({ phase: { inputs } }) => inputs.map(({ name }) => name))).toEqual([['x'], ['past'], []]);
    expect(parts.map(({ phase: { outputs } }) => outputs.map(({ name }) => name))).toEqual([[], ['present'], ['y']]);
    expect(parts.map(({ carried }) => carried)).toEqual([[], [SCRATCH], [CACHE]]);
  });

  it('is not cut between what reads an input and what makes the output that comes for it', () => {
    const linked = planOf([
      { weight: 0, reads: [INPUT], writes: [SCRATCH], produces: [value('q', SCRATCH)] },
      { weight: 1, reads: [SCRATCH], writes: [OUTPUT], produces: [value('y', OUTPUT)] },
      { weight: 2, reads: [OUTPUT], writes: [HIDDEN], produces: [value('lm.1', HIDDEN)] },
    ]);
    expect(cut(linked).length).toBe(3);
    expect(cut(linked, { x: 'y' }).map(({ phase }) => phase.steps.length)).toEqual([2, 1]);
  });

  it('gives back an input that is an output in the last part', () => {
    const through = planOf(
      [
        { weight: 0, reads: [INPUT], writes: [HIDDEN] },
        { weight: 1, reads: [HIDDEN], writes: [SCRATCH] },
      ],
      {
        outputs: [value('same', INPUT)],
      },
    );
    expect(
      cut(through).map(({ phase }) => [phase.inputs, phase.outputs].map((ports) => ports.map((p) => p.name))),
    ).toEqual([
      [['x'], []],
      [['x'], ['same']],
    ]);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import type { Graph, Program } from '../../ir/graph.ts';
import * as passes from '../../ir/passes/index.ts';
import type { Pass, PassRun } from '../../ir/passes/index.ts';
import { roundToNearest } from '../../ir/testing/round_to_nearest.ts';
import { bisect, type Bisection } from '../../verify/bisect/bisect.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { narrowingFor, programsFor } from '../precision/precision.ts';
import { soundProgram } from '../testing/fault.ts';
import { FAULT_KINDS, type PlantedFault } from '../testing/pass_faults.ts';

let checkpoint: Checkpoint;
let program: Program;

beforeAll(async () => {
  checkpoint = await openCheckpoint('fixtures/pg2-tiny/hf');
  program = soundProgram(readCheckpoint(checkpoint));
});
afterAll(() => checkpoint.close());

const quantizeWeights = passes.quantizeWeights({
  schemeOf: () => ({ format: 'int8', block: 8, symmetric: true, algorithm: 'rtn', floatZero: false }),
  quantize: roundToNearest,
});
/** Two heads at a time, of the sizes of the fixture. */
const tileAttention = passes.tileAttention({
  maxScoreBytes: 2 ** 10,
  sizeOf: (dim) => (typeof dim === 'number' ? dim : 8),
});

/** Every pass that there is, in orders that pipelines have. */
const PIPELINES: readonly (readonly Pass[])[] = [
  [
    passes.foldConstants,
    passes.castFloats({ to: 'f16' }),
    passes.splitLargeWeights(4096),
    tileAttention,
    passes.narrowSizes,
    passes.fuseAddRmsNorm,
    passes.decompose(new Set(['add_rms_norm'])),
    passes.eliminateCommonSubexpressions,
    passes.eliminateDeadCode,
  ],
  [
    passes.foldConstants,
    passes.balanceChannels,
    quantizeWeights,
    passes.fuseAppendCache,
    passes.fixedCache,
    passes.decompose(new Set()),
  ],
  [passes.storeWeights('bf16'), passes.bindDims({ seq: 1, kept: 1 })],
];

/** What runs over the program; the result of one pass over the decoder is changed. */
function trace(
  pipeline: readonly Pass[],
  planted?: { readonly pass: string; readonly change: (graph: Graph) => Graph },
): PassRun[] {
  const runs: PassRun[] = [];
  const faulty = pipeline.map((pass): Pass => {
    if (pass.name !== planted?.pass) return pass;
    return {
      ...pass,
      run: (graph) => (graph.name === 'decoder' ? planted.change(pass.run(graph)) : pass.run(graph)),
    };
  });
  passes.runPassesOnProgram(program, faulty, (run) => runs.push(run));
  return runs;
}

const bisected = (runs: readonly PassRun[]): Promise<Bisection> =>
  bisect({ program, runs, verifyCase: syntheticCases(program.metadata)[0]! });

test.each(PIPELINES.map((pipeline, i) => [i, pipeline] as const))(
  'pipeline %i: every pass keeps the values, and what it changed was compared',
  async (_, pipeline) => {
    const { passes: verdicts, fault } = await bisected(trace(pipeline));
    expect(fault).toBeUndefined();
    expect(verdicts.map(({ pass, graph }) => `${graph} ${pass}`)).toEqual(
      program.graphs.flatMap((graph) => pipeline.map(({ name }) => `${graph.name} ${name}`)),
    );
    expect(verdicts.filter(({ changed, calls }) => changed && calls === 0 && pipeline.length > 2)).toEqual([]);
    for (const { pass, relativeL2 } of verdicts)
      if (/cast_floats/.test(pass)) expect(relativeL2).toBeGreaterThan(1e-4);
      else expect(relativeL2).toBeLessThan(1e-6);
  },
);

/** A slip in each pass, of a kind that its graph has a place for, and the pipeline that it is planted in. */
const PLANTED: Readonly<Record<string, readonly [keyof typeof FAULT_KINDS, number]>> = {
  fold_constants: ['swappedMatrices', 0],
  balance_channels: ['swappedMatrices', 1],
  cast_floats: ['rolledWeight', 0],
  split_large_weights: ['rolledWeight', 0],
  tile_attention: ['droppedNode', 0],
  narrow_sizes: ['droppedNode', 0],
  fuse_add_rms_norm: ['swappedMatrices', 0],
  decompose: ['rolledWeight', 0],
  eliminate_common_subexpressions: ['swappedMatrices', 0],
  eliminate_dead_code: ['droppedNode', 0],
  quantize_weights: ['rolledWeight', 1],
  fuse_append_cache: ['swappedMatrices', 1],
  fixed_cache: ['droppedNode', 1],
  store_weights: ['rolledWeight', 2],
  bind_dims: ['droppedNode', 2],
};

test.each(Object.entries(PLANTED))('a fault of %s is found there', async (name, [kind, pipeline]) => {
  let planted: PlantedFault | undefined;
  const change = (graph: Graph): Graph => {
    planted = FAULT_KINDS[kind](graph);
    if (!planted) throw new Error(`no place for ${kind}`);
    return planted.graph;
  };
  const { passes: verdicts, fault } = await bisected(trace(PIPELINES[pipeline]!, { pass: name, change }));
  expect(fault).toMatchObject({ pass: name, graph: 'decoder' });
  expect(verdicts.at(-1)).toMatchObject({ pass: name, graph: 'decoder', passed: false });
  expect(verdicts.slice(0, -1).every(({ passed }) => passed)).toBe(true);
  const { place, value } = fault!;
  const weight = /^weight (\S+), row \d+$/.exec(place)?.[1];
  if (weight !== undefined) return expect(planted!.weight).toMatch(new RegExp(`^${weight.replaceAll('.', '\\.')}\\b`));
  const { stages, outputs } = planted!.graph;
  expect(place).toBe([...stages, ...outputs].find((port) => planted!.affected.has(port.value))!.name);
  expect([...planted!.affected].map((each) => each.name)).toContain(value!.name);
});

test('every pass of ir/passes has a fault planted', () => {
  const files = readdirSync('ir/passes').filter((file) => /^[a-z_]+\.ts$/.test(file));
  const names = files.flatMap(
    (file) => /\n {2,4}name: '(\w+)'/.exec(readFileSync(`ir/passes/${file}`, 'utf8'))?.[1] ?? [],
  );
  expect(Object.keys(PLANTED).toSorted()).toEqual(names.toSorted());
  expect(names.length).toBeGreaterThanOrEqual(14);
});

describe.each(backendNames())('the passes of %s', (name) => {
  test.each(['fp16', 'int8'] as const)('and those of %s keep the values, for every target', async (precision) => {
    const backend = await findBackend(name);
    for (const target of backend.targets.length === 0 ? [undefined] : backend.targets) {
      if (backend.refusal(precision, target)) continue;
      const narrowing = narrowingFor(precision, backend, target);
      const runs: PassRun[] = [];
      const onPass = (run: PassRun) => void runs.push(run);
      const options = { backend, target, ...(narrowing && { narrowing }), onPass };
      backend.emit(programsFor(program, precision, options).bundle, { precision, ...(target && { target }) }, onPass);
      const { fault, passes: verdicts } = await bisected(runs);
      expect(fault, `${target}`).toBeUndefined();
      expect(verdicts.filter(({ changed, calls }) => changed && calls > 0).length).toBeGreaterThan(4);
      expect(new Set(verdicts.map(({ graph }) => graph))).toEqual(new Set(program.graphs.map((graph) => graph.name)));
    }
  });
});

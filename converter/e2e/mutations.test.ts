import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { castFloats, runPassesOnProgram } from '../../ir/passes/index.ts';
import { readTensor, tensorData } from '../../ir/tensor.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { stageNames } from '../../verify/divergence.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { buildProgram, readCheckpoint } from '../models/paligemma.ts';
import { canonicalShapes } from '../models/paligemma/weights.ts';
import { randomTensor } from '../synth/random_tensor.ts';
import type { Fault, Sound } from '../testing/fault.ts';
import { COARSE_EPSILON, FAULTS, PADDING_SEEN, TILED_KV } from '../testing/faults.ts';
import { readRecording, type Recording } from '../testing/recording.ts';

// Faults of PaliGemma 1 and of what both generations share; those of PaliGemma 2 are in mutations_paligemma2.test.ts.
const fixture = 'fixtures/pg1-tiny';
let checkpoint: Checkpoint;
let sound: Sound;
let recording: Recording;

beforeAll(async () => {
  checkpoint = await openCheckpoint(`${fixture}/hf`);
  sound = readCheckpoint(checkpoint);
  recording = await readRecording(fixture);
});
afterAll(() => checkpoint.close());

/** Against what big_vision said. */
function againstRecorded(
  program: Program,
  precision: 'fp32' | 'fp16' = 'fp32',
  invariants = false,
): Promise<VerifyReport> {
  return verifyProgram({
    candidate: evaluatorRunner(program),
    ...recording,
    metadata: program.metadata,
    precision,
    stages: stageNames(program),
    invariants,
  });
}

/** Against the sound program of the same weights, on cases that need no recording. */
function againstSound(program: Program, { config, weights }: Sound, invariants = false): Promise<VerifyReport> {
  const reference = evaluatorRunner(buildProgram(config, weights));
  return verifyProgram({
    candidate: evaluatorRunner(program),
    reference,
    metadata: program.metadata,
    cases: syntheticCases(program.metadata),
    precision: 'fp32',
    stages: stageNames(program),
    invariants,
  });
}

function expectFailureAt(report: VerifyReport, fault: Fault): void {
  expect(report.passed).toBe(false);
  const { phase, stage } = report.firstDivergingStage!;
  expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
}

describe('the sound program', () => {
  test('passes against what big_vision said, and agrees with itself', async () => {
    const report = await againstRecorded(buildProgram(sound.config, sound.weights), 'fp32', true);
    expect(report.passed, reportText(report)).toBe(true);
    expect(report.firstDivergingStage).toBeUndefined();
    expect(report.greedyDifferences).toEqual([]);
  });

  test('passes in f16, within the bounds of f16 and not those of f32', async () => {
    const narrow = runPassesOnProgram(buildProgram(sound.config, sound.weights), [castFloats({ to: 'f16' })]);
    const report = await againstRecorded(narrow, 'fp16', true);
    expect(report.passed, reportText(report)).toBe(true);
    expect((await againstRecorded(narrow, 'fp32')).passed).toBe(false);
  });
});

describe('a fault fails and is located against what big_vision said', () => {
  test.each(FAULTS)('$name', async (fault) => {
    expectFailureAt(await againstRecorded(await fault.build(sound)), fault);
  });

  test('padding is attended: only the padded case fails, and no other row notices', async () => {
    const report = await againstRecorded(await PADDING_SEEN.build(sound), 'fp32', true);
    const failed = report.checks.filter(({ passed }) => !passed);
    expect(new Set(failed.map((check) => check.case))).toEqual(new Set(['recorded, left-padded']));
    expect(failed.map(({ output }) => output)).toContain('row 1 in the batch = alone');
    expect(failed.map(({ output }) => output)).not.toContain('row 0 in the batch = alone');
  });
});

describe('a fault fails and is located against the sound program', () => {
  test('padding is attended', async () => {
    expectFailureAt(await againstSound(await PADDING_SEEN.build(sound), sound), PADDING_SEEN);
  });

  test('KV heads tiled, not repeated, with two of them', async () => {
    const grouped = randomModel({ ...sound.config, text: { ...sound.config.text, kvHeads: 2 } });
    expect((await againstSound(buildProgram(grouped.config, grouped.weights), grouped, true)).passed).toBe(true);
    expectFailureAt(await againstSound(await TILED_KV.build(grouped), grouped), TILED_KV);
  });

  test.each(COARSE_EPSILON)('$name, where inputs vary little', async (fault) => {
    const weights = new Map(sound.weights);
    for (const name of ['vit.patch.w', 'vit.patch.b', 'vit.pos', 'lm.embed', 'proj.w', 'proj.b'])
      weights.set(name, await scaled(weights, name, 0.01));
    for (let i = 0; i < sound.config.vision.layers; i++)
      for (const part of ['o.w', 'o.b', 'fc2.w', 'fc2.b'])
        weights.set(`vit.${i}.${part}`, await scaled(weights, `vit.${i}.${part}`, 0.01));
    const quiet = { ...sound, weights };
    expectFailureAt(await againstSound(await fault.build(quiet), quiet), fault);
  });
});

describe('invariants find what both sides share', () => {
  const sharedBy = async (name: string): Promise<string[]> => {
    const program = await FAULTS.find((fault) => fault.name === name)!.build(sound);
    const runner = evaluatorRunner(program);
    const report = await verifyProgram({
      candidate: runner,
      reference: runner,
      metadata: program.metadata,
      cases: syntheticCases(program.metadata),
      precision: 'fp32',
    });
    return [...new Set(report.checks.filter(({ passed }) => !passed).map(({ output }) => output))];
  };

  test('a causal prompt', async () => {
    expect(await sharedBy('prompt is causal')).toEqual(['prompt sees ahead']);
  });
  test('a bidirectional suffix', async () => {
    expect(await sharedBy('suffix is bidirectional')).toEqual([
      'suffix at once = token by token',
      'suffix does not see ahead',
    ]);
  });
  test('a cache in the wrong order', async () => {
    expect(await sharedBy('new keys go before the cache')).toContain('suffix at once = token by token');
  });
});

test('one NaN among the weights fails, and is located', async () => {
  const weights = new Map(sound.weights);
  const tensor = await readTensor(weights.get('lm.2.down')!);
  tensor.data[5] = Number.NaN;
  weights.set('lm.2.down', tensorData(tensor));
  const report = await againstRecorded(buildProgram(sound.config, weights));
  expect(report.passed).toBe(false);
  expect(report.firstDivergingStage).toMatchObject({ phase: 'prefill', stage: 'lm.3' });
  expect(report.checks.find(({ output }) => output === 'prefill logits')!.metrics.nonFinite).toBeGreaterThan(0);
});

/** Random weights of the model's shapes: spread as a trained model's are. */
function randomModel(config: Sound['config']): Sound {
  const shapes = [...canonicalShapes(config, config.tableRows)];
  const mean = (name: string) => (/^vit.*ln\w*\.w$/.test(name) ? 1 : 0);
  return {
    config,
    weights: new Map(
      shapes.map(([name, shape], i) => [name, randomTensor('f32', shape, { mean: mean(name), std: 0.15 }, i)]),
    ),
  };
}

async function scaled(weights: Sound['weights'], name: string, factor: number) {
  const tensor = await readTensor(weights.get(name)!);
  return tensorData({ ...tensor, data: tensor.data.map((x) => x * factor) });
}

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { syntheticCases } from '../../verify/cases.ts';
import { stageNames } from '../../verify/divergence.ts';
import { readRecorded } from '../../verify/recorded.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram, type VerifyOptions, type VerifyReport } from '../../verify/verify.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { soundProgram, type Fault, type Sound } from '../testing/fault.ts';
import { FAULTS } from '../testing/faults.ts';
import { PADDING_FAULTS, RETRIEVAL_FAULTS } from '../testing/retrieval_faults.ts';

// Faults of ColPali's head; those of its backbone are in mutations.test.ts.
let checkpoint: Checkpoint;
let sound: Sound;
let recording: Pick<VerifyOptions, 'cases' | 'reference'>;

beforeAll(async () => {
  checkpoint = await openCheckpoint('fixtures/colpali-tiny/hf');
  sound = readCheckpoint(checkpoint);
  const golden = await openSafetensors('fixtures/colpali-tiny/golden.safetensors');
  recording = await readRecorded(golden.tensors);
  await golden.close();
});
afterAll(() => checkpoint.close());

function verify(
  candidate: Program,
  against: Pick<VerifyOptions, 'cases' | 'reference'>,
  invariants = false,
): Promise<VerifyReport> {
  return verifyProgram({
    candidate: evaluatorRunner(candidate),
    ...against,
    metadata: candidate.metadata,
    precision: 'fp32',
    stages: stageNames(candidate),
    invariants,
  });
}
/** On cases that need no recording: the only ones with a suffix. */
function againstSound(candidate: Program, reference = soundProgram(sound), invariants = false): Promise<VerifyReport> {
  return verify(
    candidate,
    { reference: evaluatorRunner(reference), cases: syntheticCases(candidate.metadata) },
    invariants,
  );
}
const failures = (report: VerifyReport) =>
  report.checks.filter(({ passed }) => !passed).map((check) => `${check.case}: ${check.output}`);

function expectFailureAt(report: VerifyReport, fault: Fault): void {
  expect(report.passed).toBe(false);
  const { phase, stage } = report.firstDivergingStage!;
  expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
}

test('the sound program passes against what transformers recorded, and agrees with itself', async () => {
  const report = await verify(soundProgram(sound), recording, true);
  expect(report.passed, reportText(report)).toBe(true);
  expect((await againstSound(soundProgram(sound), undefined, true)).passed).toBe(true);
});

describe('a fault fails against what transformers recorded', () => {
  test.each(RETRIEVAL_FAULTS)('$name: pages, queries and their scores', async (fault) => {
    const report = await verify(await fault.build(sound), recording);
    expect(failures(report)).toEqual([
      'recorded pages: prefill embeddings',
      'recorded queries: prefill embeddings',
      'recorded queries × recorded pages: MaxSim scores',
    ]);
  });

  test('vectors of padding stay: queries only, which are padded, and then in what they score', async () => {
    const report = await verify(await PADDING_FAULTS[0]!.build(sound), recording);
    expect(failures(report)).toEqual([
      'recorded queries: prefill embeddings',
      'recorded queries × recorded pages: MaxSim scores',
    ]);
    const { at } = report.checks.find(({ passed }) => !passed)!;
    expect(at!.slice(0, 2)).toEqual([0, 0]);
  });

  test('a causal prompt: pages and queries', async () => {
    const causal = await FAULTS.find(({ name }) => name === 'prompt is causal')!.build(sound);
    expect(failures(await verify(causal, recording))).toEqual([
      'recorded pages: prefill embeddings',
      'recorded queries: prefill embeddings',
      'recorded queries × recorded pages: MaxSim scores',
    ]);
  });
});

describe('a fault fails against the sound program, and is located behind the last stage', () => {
  test.each([...RETRIEVAL_FAULTS, ...PADDING_FAULTS])('$name', async (fault) => {
    expectFailureAt(await againstSound(await fault.build(sound)), fault);
  });
});

test('a bundle without the head fails against a recording of one that has it', async () => {
  const { config, weights } = sound;
  const backbone = soundProgram({ config: { ...config, retrievalWidth: 0 }, weights });
  const report = await verify(backbone, recording);
  expect(failures(report)).toEqual([
    'recorded pages: prefill embeddings',
    'recorded queries: prefill embeddings',
    'recorded queries × recorded pages: MaxSim scores',
  ]);
  expect(report.checks.find(({ passed }) => !passed)!.note).toBe('the candidate gave nothing to compare');
});

describe('what both sides share is found by what must hold of the vectors', () => {
  const sharedBy = async (fault: Fault) => {
    const program = await fault.build(sound);
    return [
      ...new Set(
        (await againstSound(program, program, true)).checks.filter(({ passed }) => !passed).map(({ output }) => output),
      ),
    ];
  };
  const named = (name: string) =>
    [...RETRIEVAL_FAULTS, ...PADDING_FAULTS, ...FAULTS].find((fault) => fault.name === name)!;

  test.each([
    ['vectors are not normalised', ['embeddings have length 1']],
    ['vectors have the length √E of an RMSNorm', ['embeddings have length 1']],
    ['vectors of padding stay', ['embeddings of padding are 0']],
    [
      'new tokens are masked as the first ones',
      [
        'embeddings have length 1',
        'embeddings of row 1 in the batch = alone',
        'embeddings of row 2 in the batch = alone',
      ],
    ],
    ['prompt is causal', ['prompt sees ahead']],
  ])('%s', async (name, outputs) => {
    expect(await sharedBy(named(name))).toEqual(outputs);
  });
});

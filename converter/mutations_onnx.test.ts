import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnx } from '../backends/onnx/index.ts';
import type { Program } from '../ir/graph.ts';
import { runPassesOnProgram } from '../ir/passes/index.ts';
import type { VerifyCase } from '../verify/cases.ts';
import { stageNames } from '../verify/divergence.ts';
import { readRecorded, type Recorded } from '../verify/recorded.ts';
import { reportText } from '../verify/report.ts';
import type { Precision } from '../verify/tolerances.ts';
import { verifyProgram, type VerifyReport } from '../verify/verify.ts';
import { openCheckpoint } from './checkpoints/index.ts';
import type { Checkpoint } from './checkpoints/checkpoint.ts';
import { openSafetensors, type SafetensorsFile } from './checkpoints/safetensors.ts';
import { buildProgram, readCheckpoint } from './families/paligemma.ts';
import { passesFor } from './precision.ts';
import { tempFolders } from './testing/bundle.ts';
import { FAULTS, PADDING_SEEN, type Fault, type Sound } from './testing/faults.ts';

// The same faults as in mutations.test.ts, some of them, through the files of a bundle and ONNX Runtime.
const folder = tempFolders();
let checkpoint: Checkpoint;
const files: SafetensorsFile[] = [];
let sound: Sound;
let cases: VerifyCase[];
let recorded: Recorded;

beforeAll(async () => {
  checkpoint = await openCheckpoint('fixtures/pg1-tiny/hf');
  sound = readCheckpoint(checkpoint);
  files.push(await openSafetensors('fixtures/pg1-tiny/golden.safetensors'), await openSafetensors('fixtures/pg1-tiny/stages.safetensors'));
  ({ cases, reference: recorded } = await readRecorded(files[0]!.tensors, files[1]!.tensors, 'big_vision'));
});
afterAll(async () => {
  await Promise.all([checkpoint, ...files].map((file) => file.close()));
});

async function verifyBundleOf(program: Program, precision: Precision, invariants = false): Promise<VerifyReport> {
  const dir = await folder();
  for (const file of onnx.emit(runPassesOnProgram(program, passesFor(precision)), { precision }).files) {
    const path = join(dir, file.path);
    await mkdir(dirname(path), { recursive: true });
    const chunks: Uint8Array[] = [];
    for await (const { bytes } of file.chunks()) chunks.push(bytes);
    await writeFile(path, chunks);
  }
  const candidate = await onnx.open(dir);
  try {
    return await verifyProgram({ candidate, reference: recorded, metadata: program.metadata, cases, precision, stages: stageNames(program), invariants });
  } finally {
    await candidate.dispose();
  }
}

test.each(['fp32', 'fp16'] as const)('the sound bundle passes in %s and agrees with itself', async (precision) => {
  const report = await verifyBundleOf(buildProgram(sound.config, sound.weights), precision, true);
  expect(report.passed, reportText(report)).toBe(true);
  expect(report.candidate).toContain('onnxruntime');
});

const named = (...names: string[]): Fault[] => names.map((name) => FAULTS.find((fault) => fault.name === name)!);

test.each(named('decoder norms scale by w, not 1 + w', 'gate and up swapped', 'prompt is causal', 'positions of the suffix are one further', 'exact gelu in the image tower', 'no √D on text embeddings', 'image features divided by √D'))(
  'in fp32: $name',
  async (fault) => {
    const report = await verifyBundleOf(await fault.build(sound), 'fp32');
    expect(report.passed).toBe(false);
    const { phase, stage } = report.firstDivergingStage!;
    expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
  },
);

test.each(named('k and v swapped in the image tower', 'prompt is causal', 'positions of the suffix are one further'))('in fp16, where rounding is thousands of times larger: $name', async (fault) => {
  const report = await verifyBundleOf(await fault.build(sound), 'fp16');
  expect(report.passed).toBe(false);
  const { phase, stage } = report.firstDivergingStage!;
  expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
});

test('padding is attended: the padded row differs from itself alone', async () => {
  const report = await verifyBundleOf(await PADDING_SEEN.build(sound), 'fp32', true);
  const failed = report.checks.filter(({ passed }) => !passed).map((check) => `${check.case}: ${check.output}`);
  expect(failed).toContain('recorded, left-padded: row 1 in the batch = alone');
  expect(failed.filter((line) => line.startsWith('recorded:'))).toEqual([]);
});

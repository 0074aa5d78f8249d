import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Runner } from '../../backends/backend.ts';
import { onnx } from '../../backends/onnx/index.ts';
import {
  all,
  keyChannel,
  mlpChannel,
  normedOutput,
  valueChannel,
  visionChannel,
  type Plant,
} from '../../fixtures/overflow/plant.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { keptBytes, planF16, type F16Plan } from '../../ir/observe/f16_range.ts';
import { runPassesOnProgram } from '../../ir/passes/index.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { readRecorded } from '../../verify/recorded.ts';
import type { Recorded } from '../../verify/recording.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { calibrate, type Calibration } from '../precision/calibration/calibrate.ts';
import { defaultSamples } from '../samples/default_samples.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { buildProgram, readCheckpoint } from '../models/paligemma.ts';
import { passesFor } from '../precision/precision.ts';
import { tempFolders } from '../testing/bundle.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';

/*
 * Activations that reach 1e6, planted without changing the function, against what the original implementations recorded
 * of the unplanted models. Ranges come from the built-in set, which shares no picture and no token with the recordings.
 *
 * WebGPU computes f16 only with shader-f16, which the software GPU has not: there, f32 shows that the provider holds
 * such values in what is kept, and the fp16 bundle runs where the GPU can (PGCONV_GPU=system).
 */

interface Planted {
  readonly fixture: string;
  readonly plant: Plant;
  /** Values that must reach a million, `graph/value`; all of them must be kept. */
  readonly huge: readonly string[];
  /** Ports of the cache that are f32 then. */
  readonly widePorts: readonly string[];
}

const PLANTED: readonly Planted[] = [
  {
    fixture: 'fixtures/pg1-tiny',
    plant: all(mlpChannel(1, 17, 2 ** 20), valueChannel(0, 0, 3, 2 ** 20), visionChannel(1, 5, 2 ** 20)),
    huge: ['decoder/lm.1.mul_1', 'decoder/lm.0.concat_1', 'decoder/lm.0.attention', 'vision_encoder/vit.1.attention'],
    widePorts: ['past_key_values.0.value', 'present.0.value'],
  },
  {
    fixture: 'fixtures/pg2-tiny',
    plant: all(mlpChannel(2, 9, 2 ** 22), normedOutput(0, 2 ** 20), keyChannel(1, 1, 2, 2 ** 20)),
    huge: ['decoder/lm.2.mul_1', 'decoder/lm.0.linear_6', 'decoder/lm.1.concat'],
    widePorts: ['past_key_values.1.key', 'present.1.key'],
  },
];

const folder = tempFolders();

describe.each(PLANTED)('$fixture', ({ fixture, plant, huge, widePorts }) => {
  let original: Program;
  let planted: Program;
  let cases: VerifyCase[];
  let recorded: Recorded;
  let calibration: Calibration;
  let plan: F16Plan;
  const opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    const checkpoint = await openCheckpoint(`${fixture}/hf`);
    const golden = await openSafetensors(`${fixture}/golden.safetensors`);
    opened.push(checkpoint, golden);
    const { config, weights } = readCheckpoint(checkpoint);
    original = buildProgram(config, weights);
    planted = buildProgram(config, await plant(weights, config));
    ({ cases, reference: recorded } = await readRecorded(golden.tensors, undefined, 'recorded'));
    calibration = await calibrate(planted, {
      samples: defaultSamples(planted.metadata, { processor: PROCESSORS.huggingface }),
    });
    plan = planF16(calibration.program.graphs, calibration.ranges);
  });
  afterAll(() => Promise.all(opened.map((file) => file.close())));

  /** `onlyPrompt`: image features and the logits of one prompt, without what follows it. */
  const verify = (candidate: Runner, precision: Precision, onlyPrompt = false): Promise<VerifyReport> => {
    const [name, { imageFeatures, prefillLogits }] = [...recorded.outcomes][0]!;
    const outcome = { ...(imageFeatures && { imageFeatures }), ...(prefillLogits && { prefillLogits }) };
    const { suffixIds: _, ...prompt } = cases[0]!;
    const asked = onlyPrompt
      ? { reference: { ...recorded, outcomes: new Map([[name, outcome]]) }, cases: [{ ...prompt, maxNewTokens: 0 }] }
      : { reference: recorded, cases };
    return verifyProgram({ candidate, ...asked, metadata: planted.metadata, precision, invariants: false });
  };
  const fp16 = (keep?: F16Plan['keep']): Program => runPassesOnProgram(planted, passesFor('fp16', keep && { keep }));

  async function bundleOf(program: Program, precision: Precision): Promise<string> {
    const dir = await folder();
    for (const file of onnx.emit(program, { precision }).files) {
      await mkdir(dirname(join(dir, file.path)), { recursive: true });
      const chunks: Uint8Array[] = [];
      for await (const { bytes } of file.chunks()) chunks.push(bytes);
      await writeFile(join(dir, file.path), chunks);
    }
    return dir;
  }

  async function verifyBundle(program: Program, precision: Precision, device = 'cpu'): Promise<VerifyReport> {
    const candidate = await onnx.open(await bundleOf(program, precision), { device });
    try {
      return await verify(candidate, precision, device !== 'cpu');
    } finally {
      await candidate.dispose();
    }
  }

  test('the function is unchanged in f32', async () => {
    const [before, after] = await Promise.all(
      [original, planted].map((program) =>
        runCase({ runner: evaluatorRunner(program), metadata: program.metadata }, cases[0]!),
      ),
    );
    const gap = Math.max(
      ...after!.prefillLogits!.data.map((x: number, i: number) => Math.abs(x - before!.prefillLogits!.data[i]!)),
    );
    expect(gap).toBeLessThan(1e-5); // of logits near 10: epsilon of a norm, and nothing else
    const report = await verify(evaluatorRunner(planted), 'fp32');
    expect(report.passed, reportText(report)).toBe(true);
  });

  test('every planted activation reaches a million, and is kept by name with its range', () => {
    for (const name of huge) {
      const finding = plan.findings.find(
        ({ graph, value, kind }) => `${graph}/${value}` === name && kind === 'overflow',
      );
      expect(
        finding,
        `${name} of ${plan.findings.map(({ graph, value, range }) => `${graph}/${value} ${range.absMax}`).join(', ')}`,
      ).toMatchObject({ kept: true });
      expect(finding!.range.absMax, name).toBeGreaterThan(1e6);
    }
    expect(plan.findings.every(({ kept }) => kept)).toBe(true);
  });

  test('only what is near stays f32: most weights are f16, and no other port of the cache changes', () => {
    const { graphs } = fp16(plan.keep);
    const weights = graphs.flatMap(({ constants }) => constants.flatMap((c) => (c.kind === 'weight' ? [c.data] : [])));
    const bytes = weights.reduce((total, { byteLength }) => total + byteLength, 0);
    expect(keptBytes(calibration.program.graphs, plan.keep) / bytes).toBeLessThan(0.15);
    const ports = graphs.flatMap(({ inputs, outputs }) => [
      ...inputs.map(({ name, type }) => [name, type.dtype] as const),
      ...outputs.map(({ name, value }) => [name, value.type.dtype] as const),
    ]);
    const wide = ports
      .filter(([name, dtype]) => /^(past_key_values|present)\./.test(name) && dtype === 'f32')
      .map(([name]) => name);
    expect(wide.toSorted()).toEqual([...widePorts].toSorted());
  });

  test('a plain cast gives garbage, in the evaluator and on the cpu', async () => {
    const reports = [await verify(evaluatorRunner(fp16()), 'fp16'), await verifyBundle(fp16(), 'fp16')];
    for (const report of reports) {
      expect(report.passed).toBe(false);
      const logits = report.checks.find(({ output }) => output === 'prefill logits')!;
      expect(logits.metrics.nonFinite, reportText(report)).toBeGreaterThan(0);
    }
  });

  test('with range analysis fp16 is right in the evaluator', async () => {
    const report = await verify(evaluatorRunner(fp16(plan.keep)), 'fp16');
    expect(report.passed, reportText(report)).toBe(true);
  });

  test('with range analysis the fp16 bundle is right on the cpu', async () => {
    const report = await verifyBundle(fp16(plan.keep), 'fp16');
    expect(report.passed, reportText(report)).toBe(true);
  });

  // One fixture: the software GPU takes its time.
  if (fixture !== 'fixtures/pg1-tiny') return;

  itOnGpu(
    'on webgpu, f32 holds what is kept',
    async () => {
      const report = await verifyBundle(runPassesOnProgram(planted, passesFor('fp32')), 'fp32', 'webgpu');
      expect(report.passed, reportText(report)).toBe(true);
    },
    300_000,
  );

  itOnGpu(
    'with range analysis the fp16 bundle is right on webgpu, or the GPU is said to have no f16 shaders',
    async () => {
      const report = await verifyBundle(fp16(plan.keep), 'fp16', 'webgpu').catch((error: unknown) => error);
      if (report instanceof Error)
        expect(report).toMatchObject({
          name: 'BackendError',
          message: expect.stringContaining('requires f16') as string,
        });
      else expect((report as VerifyReport).passed, reportText(report as VerifyReport)).toBe(true);
    },
    300_000,
  );
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { WgslRunner } from '../../backends/wgsl/runner.ts';
import { readBundle } from '../../backends/wgsl/runtime/load.ts';
import { itOnF16Gpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { verifyProgram } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { readRecording, type Recording } from '../testing/recording.ts';

/*
 * fp16 bundles of pg1-tiny on a GPU with shader-f16, held against what both original implementations recorded in f32.
 */

/**
 * onnxruntime's WebGPU provider adds products of f16 up in f16: 6000 ones make 2048, where its CPU provider makes 6000.
 * After K additions that round by 2e-4 (rms) each, a sum is off by 2e-4 · √(K / 3), 1.3e-3 at K = 128; √(5 layers · 4
 * products in a row) of those are 6e-3, doubled for outliers and twice again as a bound. Measured: 1.5e-2. verify's
 * fp16 bounds, 5e-3 and 1e-2, are for sums in f32.
 */
const SUMS_IN_F16 = 2.5e-2;

let root: string;
let recording: Recording;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-f16-'));
  recording = await readRecording('fixtures/pg1-tiny');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const make = async (backend: string) =>
  convert(
    { checkpoint: 'fixtures/pg1-tiny/hf', backend, precision: 'fp16', out: join(root, backend), verify: false },
    silentReporter,
  );

describe('pg1-tiny, fp16', () => {
  itOnF16Gpu(
    'a bundle of shaders takes the variants with shader-f16, and computes what was recorded',
    async () => {
      const { out, manifest } = await make('wgsl');
      const { model, info, dispose } = await (await readBundle(out)).start();
      const runner = new WgslRunner(model.executor, info.adapter, dispose);
      const gemms = info.choices.filter(({ shader }) => shader.startsWith('shaders/gemm_f16'));
      expect(gemms.length).toBeGreaterThan(5);
      for (const { shader, features, reason } of gemms)
        expect({ shader, features, reason }).toEqual({
          shader: expect.stringMatching(/_shader_f16(_v\d+)?\.wgsl$/),
          features: ['shader-f16'],
          reason: '',
        });
      const report = await verifyProgram({
        candidate: runner,
        ...recording,
        metadata: manifest.program,
        precision: 'fp16',
        invariants: false,
      });
      await runner.dispose();
      expect(report.checks.length).toBeGreaterThan(5);
      expect(report.passed, reportText(report)).toBe(true);
    },
    600_000,
  );

  itOnF16Gpu(
    'onnxruntime runs the graphs on webgpu, and says the recorded tokens',
    async () => {
      const { runner, metadata, dispose } = await openBundle((await make('onnx')).out, 'webgpu');
      const report = await verifyProgram({
        candidate: runner,
        ...recording,
        metadata,
        precision: 'fp16',
        invariants: false,
      });
      await dispose();
      const tokens = report.checks.filter(({ output }) => output === 'greedy tokens');
      expect(tokens.length).toBeGreaterThan(0);
      expect(
        tokens.every(({ passed }) => passed),
        reportText(report),
      ).toBe(true);
      for (const { case: name, output, metrics } of report.checks.filter(
        ({ metrics }) => metrics.relativeL2 !== undefined,
      )) {
        expect(metrics.nonFinite, `${name} ${output}`).toBe(0);
        expect(metrics.relativeL2, `${name} ${output}`).toBeLessThan(SUMS_IN_F16);
      }
    },
    600_000,
  );
});

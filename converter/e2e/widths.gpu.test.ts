import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readOnnx } from '../../backends/onnx/read.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import { readRecording } from '../testing/recording.ts';
import { expectWithinRounding, roundingOf } from '../testing/rounding.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

/** A GPU's functions are less exact than a CPU's: the verifier's own bound for a model of this size. */
const WEBGPU = 1e-4;

// Widths that share no power of two, so that no size is taken for a multiple of 8, 16 or 64, or for another size.
describe.each(['pg2-wide', 'pg1-wide'])(
  '%s: 6 heads of 20, 2 KV heads, width 54, FFN 52, 3×3 patches, 777 words',
  (fixture) => {
    const golden = `fixtures/${fixture}/golden.safetensors`;
    let root: string;
    const bundle = (precision: string) => join(root, precision);

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'pgconv-widths-'));
      for (const precision of ['fp32', 'fp16'] as const)
        await convert(
          { checkpoint: `fixtures/${fixture}/hf`, backend: 'onnx', precision, out: bundle(precision), verify: false },
          silentReporter,
        );
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    test.each(['fp32', 'fp16'])(
      'the %s bundle verifies on the cpu, against the recording and against the checkpoint',
      async (precision) => {
        for (const [cases, against] of [
          [2, { against: golden }],
          [3, {}],
        ] as const) {
          const report = await verifyBundle({ bundle: bundle(precision), ...against }, silentReporter);
          expect(report.passed, reportText(report)).toBe(true);
          expect(new Set(report.checks.map((check) => check.case)).size).toBe(cases);
          if (precision === 'fp32') expectWithinRounding(report, await roundingOf(`fixtures/${fixture}`));
        }
      },
    );

    // pg1-wide: widths.slow.test.ts
    if (fixture === 'pg2-wide')
      itOnGpu(
        'the fp32 bundle verifies on webgpu',
        async () => {
          const report = await verifyOnDevice(bundle('fp32'), 'webgpu', await readRecording(`fixtures/${fixture}`));
          expect(report.candidate).toContain('webgpu');
          expect(report.passed, reportText(report)).toBe(true);
          expectWithinRounding(report, WEBGPU);
        },
        300_000,
      );

    test('these are its sizes', async () => {
      const { inputs, outputs } = await readOnnx(join(bundle('fp32'), 'onnx/decoder_model_merged.onnx'));
      const shapeOf = (name: string) => [...inputs, ...outputs].find((port) => port.name === name)!.shape;
      expect(shapeOf('logits')).toEqual(['batch_size', 'kept', 777]);
      expect(shapeOf('inputs_embeds')).toEqual(['batch_size', 'seq', 54]);
      expect(shapeOf('past_key_values.0.key')).toEqual(['batch_size', 2, 'past', 20]);
      const tower = await readOnnx(join(bundle('fp32'), 'onnx/vision_encoder.onnx'));
      expect(tower.outputs[0]!.shape?.slice(-2)).toEqual([9, 54]);
    });
  },
);

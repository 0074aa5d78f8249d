import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import { readRecording } from '../testing/recording.ts';
import { expectWithinRounding } from '../testing/rounding.ts';

/** A GPU's functions are less exact than a CPU's: the verifier's own bound for a model of this size. */
const WEBGPU = 1e-4;

describe('pg1-wide: 6 heads of 20, 2 KV heads, width 54, FFN 52, 3×3 patches, 777 words', () => {
  itOnGpu(
    'the fp32 bundle verifies on webgpu',
    async () => {
      const root = await mkdtemp(join(tmpdir(), 'pgconv-widths-'));
      try {
        const { out } = await convert(
          {
            checkpoint: 'fixtures/pg1-wide/hf',
            backend: 'onnx',
            precision: 'fp32',
            out: join(root, 'b'),
            verify: false,
          },
          silentReporter,
        );
        const report = await verifyOnDevice(out, 'webgpu', await readRecording('fixtures/pg1-wide'));
        expect(report.candidate).toContain('webgpu');
        expect(report.passed, reportText(report)).toBe(true);
        expectWithinRounding(report, WEBGPU);
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    },
    300_000,
  );
});

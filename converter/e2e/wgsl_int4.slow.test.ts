import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { TOLERANCES, type Precision } from '../../verify/tolerances.ts';
import { type VerifyReport } from '../../verify/verify.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

const QUALITY = 'logits against the original';
let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-wgsl-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const make = async (checkpoint: string, precision: Precision, options: Partial<ConvertOptions> = {}) =>
  (
    await convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'wgsl',
        precision,
        out: join(root, `b${made++}`),
        verify: false,
        ...options,
      },
      silentReporter,
    )
  ).out;

/**
 * By the way that users have: what the manifest names is opened, read again and compared. That each form of weights is
 * computed rightly is shown on a smaller model (backends/wgsl/run.gpu.test.ts), since shaders take long to compile.
 * Random weights cannot keep the quality that trained ones do: that is the one check that may fail.
 */
describe('pg1-tiny, int4', () => {
  async function expectVerified(options: Partial<ConvertOptions> = {}): Promise<VerifyReport> {
    const report = await verifyBundle({ bundle: await make('pg1-tiny/hf', 'int4', options) }, silentReporter);
    expect(report.checks.length).toBeGreaterThan(8);
    expect(
      report.checks.filter(({ passed, output }) => !passed && output !== QUALITY),
      reportText(report),
    ).toEqual([]);
    return report;
  }

  itOnGpu(
    'computes what its weights say, and is verified by what the manifest names',
    async () => {
      await expectVerified();
    },
    600_000,
  );

  itOnGpu(
    'at accuracy level 4 rounds activations of new tokens to bytes, is verified as that, and would not pass as anything else',
    async () => {
      const report = await expectVerified({ accuracyLevel: 4 });
      const found = (output: string) =>
        report.checks.filter((check) => check.output === output).map(({ metrics }) => metrics.relativeL2!);
      const exact = TOLERANCES.int4({ layers: 3, hiddenSize: 64 }).logits.find(
        ({ metric }) => metric === 'relativeL2',
      )!.atMost!;
      for (const error of found('image_features')) expect(error).toBeLessThan(exact);
      for (const error of found('greedy logits')) expect(error).toBeGreaterThan(100 * exact);
    },
    600_000,
  );
});

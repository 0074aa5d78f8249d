import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { reportText } from '../../verify/report.ts';
import type { VerifyReport } from '../../verify/verify.ts';

/**
 * What two sound f32 programs may be apart in a fixture: each is `f32_noise` from f64 (case.json, measured by its
 * script on logits of one pass), greedy steps and the sums of another library cost as much again. 1e-5 where no noise
 * was measured.
 */
export async function roundingOf(folder: string): Promise<number> {
  const { f32_noise: noise } = JSON.parse(await readFile(`${folder}/case.json`, 'utf8')) as { f32_noise?: number };
  return noise === undefined ? 1e-5 : 5 * noise;
}

/**
 * Everything passes and lies within `limit`, which takes the place of the verifier's absolute bound in both directions:
 * that of 1e-4 knows a model's size and not its logits, which reach 54 in pg2-28b-tiny. Bounds that are relative stay.
 */
export function expectWithinRounding(report: VerifyReport, limit: number): void {
  const compared = report.checks.filter(({ output }) => output !== 'prompt sees ahead');
  const failed = compared.filter(
    ({ metrics, bounds }) =>
      bounds.length === 0 ||
      bounds.some((bound) => !bound.passed && bound.metric !== 'maxAbs') ||
      (metrics.maxAbs ?? 0) >= limit,
  );
  expect(failed, reportText(report)).toEqual([]);
  for (const output of ['image_features', 'prefill logits', 'suffix logits', 'greedy logits', 'greedy tokens'])
    expect(report.checks.map((check) => check.output)).toContain(output);
  expect(report.greedyDifferences).toEqual([]);
}

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Precision } from '../../../verify/tolerances.ts';
import { convert } from '../../compile/convert.ts';
import { verifyBundle } from '../../compile/verify_bundle.ts';
import { UsageError } from '../../errors.ts';
import { isQuantized } from '../../precision/precision.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import type { Job, Outcome } from './job.ts';
import { DEVICE } from './plan_jobs.ts';

/** From the root of the repository, where `npm run` starts. */
const FIXTURES = 'fixtures';

/** Makes the bundles of a job and verifies each on the GPU. Nothing is thrown: what breaks is an outcome. */
export async function* verifyJob({ precisions, ...bundle }: Job): AsyncGenerator<Outcome> {
  const root = await mkdtemp(join(tmpdir(), 'pgconv-parity-'));
  try {
    for (const precision of precisions) {
      const started = performance.now();
      const result = await verified(bundle, precision, join(root, precision)).catch((error: unknown) =>
        error instanceof UsageError ? { refused: error.message } : { error: firstLine(error) },
      );
      yield { ...bundle, precision, seconds: (performance.now() - started) / 1000, ...result };
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Floats against what the original implementation recorded, where it did; codes against the model that they make. */
async function verified(
  { fixture, backend, target }: Omit<Job, 'precisions'>,
  precision: Precision,
  out: string,
): Promise<Pick<Outcome, 'report'>> {
  const folder = join(FIXTURES, fixture);
  const { out: dir } = await convert(
    {
      checkpoint: join(folder, 'hf'),
      backend,
      precision,
      out,
      verify: false,
      ...(target !== undefined && { target }),
    },
    silentReporter,
  );
  const golden = join(folder, 'golden.safetensors');
  const recorded = !isQuantized(precision) && existsSync(golden);
  return {
    report: await verifyBundle({ bundle: dir, device: DEVICE, ...(recorded && { against: golden }) }, silentReporter),
  };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

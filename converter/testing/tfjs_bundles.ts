import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { reportText } from '../../verify/report.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';

/** Of the contract (issue 6): fp32 bundles are within it of the goldens. What is measured is a hundredth of it. */
export const TFJS_LIMIT = 1e-3;
/** Random weights cannot keep the quality that trained ones do: the one check that may fail. */
const QUALITY = 'logits against the original';

/** Bundles for TensorFlow.js in a temporary folder. */
export class TfjsBundles {
  readonly #root: string;
  #made = 0;

  private constructor(root: string) {
    this.#root = root;
  }

  static async open(): Promise<TfjsBundles> {
    return new TfjsBundles(await mkdtemp(join(tmpdir(), 'pgconv-tfjs-')));
  }

  /** The bundle of a fixture, unverified. */
  async make(
    checkpoint: string,
    precision: Precision,
    options: Pick<ConvertOptions, 'target' | 'layersPerGraph'> = {},
  ): Promise<string> {
    const { out } = await convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'tfjs',
        precision,
        out: join(this.#root, `b${this.#made++}`),
        verify: false,
        ...options,
      },
      silentReporter,
    );
    return out;
  }

  close(): Promise<void> {
    return rm(this.#root, { recursive: true, force: true });
  }
}

/** By the way that users have: what the manifest names is opened, read again and compared. */
export async function expectTfjsVerified(bundle: string, device: string): Promise<void> {
  const report = await verifyBundle({ bundle, device }, silentReporter);
  expect(report.checks.length).toBeGreaterThan(8);
  expect(
    report.checks.filter(({ passed, output }) => !passed && output !== QUALITY),
    reportText(report),
  ).toEqual([]);
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { VerifyReport } from '../../verify/verify.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { EXIT } from '../errors.ts';
import { VARIANTS } from '../models/paligemma/config.ts';
import { tableText } from '../terminal/table.ts';
import { pgconv, sizeOf } from './child.ts';

/** A conversion, and its verification. */
export interface VerifiedConversion {
  readonly backend: string;
  readonly dtype: string;
  readonly bundleBytes: number;
  /** Wall time of `pgconv convert --no-verify`. */
  readonly convertSeconds: number;
  /** Wall time of `pgconv verify`: hashes, weights and what runs. */
  readonly verifySeconds: number;
  /** Of it, what runs. */
  readonly runSeconds: number;
  readonly checks: number;
  /** The checks that failed, with figures: random weights may cost codes more than a trained model's. */
  readonly failed: readonly string[];
  /** Peak resident memory of the two. */
  readonly peakBytes: number;
}

export interface VerifiedOptions {
  readonly variant: string;
  /** Of decoder and image tower; default all. */
  readonly layers: number | undefined;
  /** `onnx:fp16`, … */
  readonly bundles: readonly string[];
  /** As `--memory` takes it. */
  readonly memory: string;
  readonly log: (line: string) => void;
}

/** Converts and verifies a synthetic checkpoint, one bundle after the other. Nothing else should run. */
export async function measureVerification(
  dir: string,
  { variant, layers, bundles, memory, log }: VerifiedOptions,
): Promise<VerifiedConversion[]> {
  const [input, output] = [join(dir, 'verified-checkpoint'), join(dir, 'verified-bundle')];
  const measured: VerifiedConversion[] = [];
  await rm(input, { recursive: true, force: true });
  const { text, vision } = VARIANTS[variant]!;
  const atMost = (count: number) => String(Math.min(layers ?? count, count));
  await pgconv([
    ...['synth', '--variant', variant, '--format', 'hf', '--dtype', 'bf16', '--out', input],
    ...['--layers', atMost(text.layers), '--vision-layers', atMost(vision.layers)],
  ]);
  try {
    for (const bundle of bundles) {
      const [backend, dtype] = bundle.split(':') as [string, string];
      await rm(output, { recursive: true, force: true });
      const converted = await pgconv([
        ...['convert', input, '--to', backend, '--dtype', dtype, '--no-verify', '--out', output],
        // calibration has its own measurement
        ...['--calibrate', 'none'],
      ]);
      const verified = await pgconv(['verify', output, '--memory', memory, '--json'], [EXIT.done, EXIT.parityFailed]);
      const { seconds, checks } = JSON.parse(verified.out) as VerifyReport;
      const measurement = {
        backend,
        dtype,
        bundleBytes: await sizeOf(output),
        convertSeconds: converted.seconds,
        verifySeconds: verified.seconds,
        runSeconds: seconds,
        checks: checks.length,
        failed: checks.filter(({ passed }) => !passed).map(failureOf),
        peakBytes: Math.max(converted.peakBytes, verified.peakBytes),
      };
      measured.push(measurement);
      log(`${bundle}: ${verifiedRow(measurement).slice(2).join(', ')}`);
    }
  } finally {
    for (const path of [input, output]) await rm(path, { recursive: true, force: true });
  }
  return measured;
}

/** A check that failed, and by what: without the figures nobody could tell a false alarm from a fault. */
function failureOf({ case: name, output, bounds, note = '' }: VerifyReport['checks'][number]): string {
  const beyond = bounds
    .filter(({ passed }) => !passed)
    .map(({ metric, value, atMost, atLeast }) => `${metric} ${value.toExponential(2)}, bound ${atMost ?? atLeast}`);
  return `${name}: ${output} (${[...beyond, note].filter((text) => text !== '').join('; ')})`;
}

function verifiedRow(measured: VerifiedConversion): readonly string[] {
  const { backend, dtype, bundleBytes, convertSeconds, verifySeconds, runSeconds, checks, failed, peakBytes } =
    measured;
  return [
    backend,
    dtype,
    bytesText(bundleBytes),
    `${convertSeconds.toFixed(0)} s`,
    `${verifySeconds.toFixed(0)} s`,
    `${runSeconds.toFixed(0)} s`,
    `${checks - failed.length} of ${checks}`,
    `${(peakBytes / 2 ** 30).toFixed(2)} GiB`,
    failed.join('; '),
  ];
}

/** The figures as a table. */
export function verificationReport(measured: readonly VerifiedConversion[], machine: string): string {
  const head = ['backend', 'dtype', 'bundle', 'convert', 'verify', 'of it runs', 'checks passed', 'peak', 'failed'];
  return `${machine}\n${tableText(head, measured.map(verifiedRow), [2, 3, 4, 5, 6, 7])}`;
}

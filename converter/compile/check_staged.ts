import { BackendError } from '../../backends/error.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { openStaged, type BundleModel } from '../bundle/open_bundle.ts';
import { enforceFindings } from '../precision/calibration/index.ts';
import { isQuantized } from '../precision/precision.ts';
import { realCases } from '../samples/real_cases.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { askSamples, type SampleResult } from './ask_samples.ts';
import type { Conversion } from './open_conversion.ts';
import type { PreparedPrograms } from './prepare_programs.ts';
import { VerificationFailed } from './verification_failed.ts';
import { referenceFor, runVerification } from './verify_bundle.ts';

/** What a bundle showed before it was put in place. */
export interface StagedChecks {
  /** Undefined when it was not asked for. */
  readonly verification?: VerifyReport;
  readonly samples: readonly SampleResult[];
}

/**
 * Runs a bundle that is written and not yet in place: compares it with the checkpoint, and asks it the samples.
 * @throws VerificationFailed (with `report`) when the bundle differs; BackendError when it does not run
 */
export async function checkStaged(
  conversion: Conversion,
  programs: PreparedPrograms,
  { dir, manifest }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<StagedChecks> {
  const { options, recorded, samplesFile, verify, processor } = conversion;
  enforceFindings(programs.findings, recorded);
  if (!verify && options.samples === undefined) return { samples: [] };
  const bundle = await openStaged(dir, manifest).catch((error: unknown) => Promise.reject(withoutRuntime(error)));
  try {
    const verification = verify ? await verifyAgainst(conversion, programs, bundle, reporter) : undefined;
    if (verification?.passed === false) throw new VerificationFailed(verification);
    const asked = { processor: await processor(), signal: options.signal };
    const samples = samplesFile === undefined ? [] : await askSamples(bundle, dir, samplesFile, asked, reporter);
    return { ...(verification && { verification }), samples };
  } finally {
    await bundle.dispose();
  }
}

async function verifyAgainst(
  { options, source, samplesFile, made, tokenizer, processor }: Conversion,
  { reference, help }: PreparedPrograms,
  bundle: BundleModel,
  reporter: Reporter,
): Promise<VerifyReport> {
  const { precision, signal } = options;
  const { program } = source.model;
  const cases = isQuantized(precision)
    ? await realCases(samplesFile, await tokenizer(), program.metadata, await processor())
    : undefined;
  return runVerification(
    bundle.runner,
    referenceFor(precision, { original: program, reference, help, cases }),
    { metadata: bundle.metadata, precision, accuracyLevel: made.accuracyLevel, signal },
    reporter,
  );
}

/** A runtime that is not here is no reason not to convert, if one knows that nothing was verified. */
function withoutRuntime(error: unknown): unknown {
  if (!(error instanceof BackendError && error.code === 'runtime-missing')) return error;
  const { hint, ...place } = error.place;
  const first = hint === undefined ? '' : `${hint}; or `;
  return new BackendError(
    error.code,
    error.message,
    { ...place, hint: `${first}convert with --no-verify, and run pgconv verify where there is one` },
    { cause: error },
  );
}

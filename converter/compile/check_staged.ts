import type { VerifyReport } from '../../verify/verify.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { NotCompared } from '../bundle/not_compared.ts';
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
 * @throws VerificationFailed (with `report`) when the bundle differs; NotCompared when nothing can be said of it
 */
export async function checkStaged(
  conversion: Conversion,
  programs: PreparedPrograms,
  { dir, manifest }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<StagedChecks> {
  const { options, recorded, verify } = conversion;
  enforceFindings(programs.findings, recorded);
  if (!verify && options.samples === undefined) return { samples: [] };
  return checkedOrKept(() => openAndCheck(conversion, programs, { dir, manifest }, reporter));
}

async function openAndCheck(
  conversion: Conversion,
  programs: PreparedPrograms,
  { dir, manifest }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<StagedChecks> {
  const { options, samplesFile, verify, processor } = conversion;
  const bundle = await openStaged(dir, manifest);
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

/** What stops a comparison before its verdict says nothing against the bundle. */
async function checkedOrKept<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    throw error instanceof VerificationFailed ? error : new NotCompared(error);
  }
}

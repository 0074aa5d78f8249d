import type { VerifyReport } from '../../verify/verify.ts';
import type { WeightsReport } from '../../verify/weights/verify_weights.ts';
import { ParityError } from '../errors.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { NotCompared } from '../bundle/not_compared.ts';
import { availableMemory } from '../terminal/memory.ts';
import type { BundleModel } from '../bundle/open_bundle.ts';
import { enforceFindings } from '../precision/calibration/index.ts';
import { isQuantized } from '../precision/precision.ts';
import { picturesShown } from '../samples/folder_samples.ts';
import { realCases } from '../samples/real_cases.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { askSamples, type SampleResult } from './ask_samples.ts';
import { withBisection } from './bisect_failure.ts';
import type { Conversion } from './open_conversion.ts';
import type { PreparedPrograms } from './prepare_programs.ts';
import { openChosen } from './opening.ts';
import { checkWeights, NO_FIELDS } from './check_weights.ts';
import { VerificationFailed } from './verification_failed.ts';
import { recordedReference, referenceFor } from './open_reference.ts';
import { runVerification } from './verify_bundle.ts';
import { WeightsDiffer } from './weights_differ.ts';
import { withLinks } from './with_links.ts';

/** What a bundle showed before it was put in place. */
export interface StagedChecks {
  /** Undefined when it was not asked for. */
  readonly verification?: VerifyReport;
  /** Against what the original was recorded to compute; undefined when there is no recording. */
  readonly original?: VerifyReport;
  /** What was asked of the bundle, what it said and what the original said. */
  readonly samples: readonly SampleResult[];
}

/**
 * Compares a bundle's weights with the checkpoint's, runs the bundle, which is written and not yet in place, and
 * compares it with the checkpoint and with what the original was recorded to compute, and asks it the samples.
 * @throws VerificationFailed, WeightsDiffer (with `report`) when the bundle differs; NotCompared when nothing can be
 * said of it
 */
export async function checkStaged(
  conversion: Conversion,
  programs: PreparedPrograms,
  { dir, manifest }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<StagedChecks> {
  const { options, recorded, verify, recording } = conversion;
  enforceFindings(programs.findings, recorded);
  if (!verify && !recording && options.samples === undefined) return { samples: [] };
  return checkedOrKept(() => openAndCheck(conversion, programs, { dir, manifest }, reporter));
}

async function openAndCheck(
  conversion: Conversion,
  programs: PreparedPrograms,
  { dir, manifest }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<StagedChecks> {
  const { options, source, samplesFile, verify, processor } = conversion;
  const weights = verify ? await weightsOf(conversion, programs, { dir, manifest }, reporter) : undefined;
  const memory = options.memory ?? availableMemory();
  const bundle = await openChosen(dir, manifest, { ...conversion.device!, memory }, reporter);
  try {
    const computed = verify ? await verifyAgainst(conversion, programs, bundle, reporter) : undefined;
    const linked = (recorded?: VerifyReport) =>
      computed && withLinks(computed, { weights, without: NO_FIELDS, recorded });
    if (computed?.passed === false) throw new VerificationFailed(linked()!);
    const recorded = await verifyRecorded(conversion, bundle, reporter);
    const without = verify ? NO_FIELDS : '--no-verify';
    const original = recorded && withLinks(recorded, { weights, without, isRecording: true });
    if (original?.passed === false) throw new VerificationFailed(original);
    const verification = linked(recorded);
    const asked = { processor: await processor(), inputs: source.inputs, signal: options.signal };
    const samples = samplesFile === undefined ? [] : await askSamples(bundle, dir, samplesFile, asked, reporter);
    return { ...(verification && { verification }), ...(original && { original }), samples };
  } finally {
    await bundle.dispose();
  }
}

/** @throws WeightsDiffer when one is not the checkpoint's */
async function weightsOf(
  { options: { precision, signal }, backend }: Conversion,
  { reference: program }: PreparedPrograms,
  { dir, manifest: { files } }: { readonly dir: string; readonly manifest: Manifest },
  reporter: Reporter,
): Promise<WeightsReport | undefined> {
  const report = await checkWeights({ backend, bundle: { dir, files }, precision, program, signal }, reporter);
  if (report?.passed === false) throw new WeightsDiffer(dir, report);
  return report;
}

async function verifyAgainst(
  { options, source, samplesFile, made, passRuns, tokenizer, processor }: Conversion,
  { reference, help }: PreparedPrograms,
  bundle: BundleModel,
  reporter: Reporter,
): Promise<VerifyReport> {
  const { precision, everyStage, signal } = options;
  const { program } = source.model;
  const cases = isQuantized(precision)
    ? await realCases(
        samplesFile,
        await tokenizer(),
        program.metadata,
        await processor(),
        source.inputs,
        await picturesShown([options.calibrate], source.inputs),
      )
    : undefined;
  const held = await referenceFor(precision, { original: program, reference, help, cases }, reporter);
  const report = await runVerification(
    bundle.runner,
    held,
    { metadata: bundle.metadata, precision, accuracyLevel: made.accuracyLevel, everyStage, signal },
    reporter,
  );
  const trace = async () => ({ runs: passRuns, dispose: async () => {} });
  return withBisection(report, { program, trace, cases: held.cases, asked: false, signal }, reporter);
}

async function verifyRecorded(
  { options, made, recording }: Conversion,
  { runner, metadata, manifest }: BundleModel,
  reporter: Reporter,
): Promise<VerifyReport | undefined> {
  if (!recording) return undefined;
  const { precision, everyStage, signal } = options;
  const converted = { metadata, precision, accuracyLevel: made.accuracyLevel, everyStage, signal };
  return runVerification(runner, recordedReference(recording, manifest), converted, reporter);
}

/** What stops a comparison before its verdict says nothing against the bundle. */
async function checkedOrKept<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    throw error instanceof ParityError ? error : new NotCompared(error);
  }
}

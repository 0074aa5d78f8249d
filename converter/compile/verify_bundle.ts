import { basename } from 'node:path';
import { measuredModel, type Measured } from '../../verify/baseline.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { EmitOptions, RoundedActivations, Runner } from '../../backends/backend.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { DeviceChoice } from '../bundle/choose_device.ts';
import { bundleBackend } from '../bundle/open_bundle.ts';
import { checkBundle } from '../bundle/check_bundle.ts';
import { readManifest } from '../bundle/manifest.ts';
import { findDevice, openChosen } from './opening.ts';
import { checkWeights, NO_FIELDS } from './check_weights.ts';
import { withLinks } from './with_links.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { withInputs, type Inputs } from '../inputs/inputs.ts';
import type { AdapterSource } from '../models/open_model.ts';
import { PRECISIONS } from '../precision/precision.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withBytes } from '../terminal/bytes.ts';
import { withForecast } from '../terminal/forecast.ts';
import { availableMemory } from '../terminal/memory.ts';
import { withBisection } from './bisect_failure.ts';
import { remadePasses } from './remade_passes.ts';
import { openReference, RECORDING, type Reference } from './open_reference.ts';

export interface VerifyBundleOptions extends DeviceChoice {
  /** Its folder. */
  readonly bundle: string;
  /**
   * A checkpoint, or a recording of what the original computed with it (docs/recording.md); default the checkpoint
   * that was converted.
   */
  readonly against?: string | readonly string[];
  /** Merged into the checkpoint that `against` names; default none, since it may be merged already. */
  readonly adapters?: readonly AdapterSource[];
  /** The file of the mask decoder; default where it was when the bundle was made. */
  readonly maskDecoder?: string | undefined;
  /** Bytes of memory that it may take; default what the machine has free. */
  readonly memory?: number;
  /** Whether each pass is looked at, whatever that takes; default after a failure, where it is cheap. */
  readonly bisect?: boolean;
  /** Whether every stage of a case is compared also where all outputs agree, which takes another run of it. */
  readonly everyStage?: boolean;
  /** Hears what is to be measured, before anything is: what it throws ends the verification. */
  readonly onKnown?: (measured: Measured) => void;
  /** Stops it: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Checks every byte of a bundle against its manifest, runs it in its runtime, and compares with the original.
 * The report may say that it failed. @throws BadInputError for a damaged bundle or reference, UsageError when the
 * reference is not known
 */
export function verifyBundle(options: VerifyBundleOptions, reporter: Reporter): Promise<VerifyReport> {
  return withInputs((inputs) => verifyWith(inputs, options, reporter));
}

async function verifyWith(
  inputs: Inputs,
  {
    bundle: dir,
    against,
    adapters,
    maskDecoder,
    device,
    browser,
    memory = availableMemory(),
    bisect = false,
    everyStage = false,
    onKnown,
    signal,
  }: VerifyBundleOptions,
  reporter: Reporter,
): Promise<VerifyReport> {
  if (against === undefined && (adapters?.length ?? 0) > 0)
    throw new UsageError('adapters_without_against', '--adapter says what to merge into the checkpoint of --against', {
      hint: 'name it with --against; without, the recorded checkpoint and adapters are used',
    });
  const known = await readManifest(dir);
  onKnown?.({ precision: known.precision, model: measuredModel(known.program) });
  const chosen = await findDevice(await bundleBackend(dir, known), { device, browser }, reporter);
  const { manifest: whole, unlisted } = await withBytes(reporter, `check ${basename(dir)}`, (hashing) =>
    checkBundle(dir, { ...hashing, ...(signal && { signal }) }),
  );
  if (maskDecoder !== undefined && whole.options.maskDecoder === undefined)
    throw new UsageError('no_masks', 'the bundle has no mask decoder to compare', {
      file: dir,
      hint: 'leave out --mask-decoder, or convert with it',
    });
  const manifest = maskDecoder === undefined ? whole : { ...whole, options: { ...whole.options, maskDecoder } };
  if (unlisted.length > 0)
    reporter.warn(
      `Files that the manifest does not list: ${unlisted.slice(0, 5).join(', ')}${unlisted.length > 5 ? ', …' : ''}.`,
    );
  const asked = [
    ...new Set(manifest.ledger.flatMap(({ tensor, leftOut }) => (leftOut === 'asked' && tensor ? [tensor] : []))),
  ];
  if (asked.length > 0)
    reporter.warn(
      `Left out of the checkpoint by --leave-out, and unknown to whoever verifies: ${asked.slice(0, 8).join(', ')}${asked.length > 8 ? `, and ${asked.length - 8} more` : ''}.`,
    );
  const precision = PRECISIONS.find((name) => name === manifest.precision);
  if (!precision)
    throw new BadInputError('unknown_precision', `the bundle is in "${manifest.precision}"`, {
      file: dir,
      hint: `this version verifies ${PRECISIONS.join(', ')}: use a newer pgconv`,
    });
  const reference = await openReference(dir, manifest, { against, adapters, inputs, signal }, reporter);
  try {
    if (bisect && !reference.model)
      throw new UsageError('bisect_without_checkpoint', '--bisect needs the weights, and a recording has none', {
        hint: 'leave --against out, or name the checkpoint with it',
      });
    const { weights: whose } = reference;
    const weights =
      typeof whose === 'string'
        ? undefined
        : await checkWeights(
            {
              ...whose,
              backend: await bundleBackend(dir, manifest),
              bundle: { dir, files: manifest.files },
              precision,
              signal,
            },
            reporter,
          );
    const bundle = await openChosen(dir, manifest, { ...chosen, memory }, reporter);
    try {
      const report = await runVerification(
        bundle.runner,
        reference,
        { metadata: bundle.metadata, precision, accuracyLevel: manifest.options.accuracyLevel, everyStage, signal },
        reporter,
      );
      const { model, cases } = reference;
      const without = typeof whose === 'string' ? whose : NO_FIELDS;
      const linked = (computed: VerifyReport) =>
        withLinks(computed, { weights, without, isRecording: whose === RECORDING });
      if (!model) return linked(report);
      const trace = () => remadePasses({ model, manifest, dir, inputs }, signal, reporter);
      return linked(
        await withBisection(report, { program: model.program, trace, cases, asked: bisect, signal }, reporter),
      );
    } finally {
      await bundle.dispose();
    }
  } finally {
    await reference.close();
  }
}

/** What was converted, and how. */
export interface Converted {
  readonly metadata: ProgramMetadata;
  readonly precision: Precision;
  readonly accuracyLevel: EmitOptions['accuracyLevel'] | undefined;
  /** How activations are rounded where no option of ours says it. */
  readonly roundedActivations?: RoundedActivations | undefined;
  /** Whether every stage of a case is compared also where all outputs agree. */
  readonly everyStage?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Compares a runner with a reference, with progress. The report may say that it failed. */
export function runVerification(
  candidate: Runner,
  reference: Omit<Reference, 'close' | 'weights'>,
  { metadata, precision, accuracyLevel, roundedActivations, everyStage = false, signal }: Converted,
  reporter: Reporter,
): Promise<VerifyReport> {
  return withForecast(reporter, 'verify', (onProgress) =>
    verifyProgram({
      candidate,
      ...(reference.runner && { reference: reference.runner }),
      ...(reference.original && { original: reference.original }),
      metadata,
      cases: reference.cases,
      precision,
      roundedActivations: accuracyLevel === 4 ? 'in blocks' : roundedActivations,
      stages: reference.stages,
      everyStage,
      onProgress,
      ...(reference.forecast && { forecast: reference.forecast }),
      ...(signal && { signal }),
    }),
  );
}

import { join } from 'node:path';
import { stat } from 'node:fs/promises';
import type { Backend, Runner } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import type { ForeignBundle, ForeignBundles, ForeignOptions } from '../../backends/foreign.ts';
import type { ProgramMetadata } from '../../ir/metadata.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { measuredModel, type Measured } from '../../verify/baseline.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { hasImages } from '../../verify/cases.ts';
import { batchMember } from '../../verify/rows.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { weightsByValue } from '../../verify/weights/by_value.ts';
import type { WeightsReport } from '../../verify/weights/verify_weights.ts';
import { MANIFEST_NAME } from '../bundle/manifest.ts';
import { chooseDevice, type DeviceChoice } from '../bundle/choose_device.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { withInputs, type Inputs } from '../inputs/inputs.ts';
import { openModel, type AdapterSource, type OpenModel } from '../models/open_model.ts';
import { isQuantized } from '../precision/precision.ts';
import { openRecording, type OpenRecording } from '../record/open_recording.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { useKernels } from '../threads/kernels_module.ts';
import { asBundle, ratioOf } from './foreign_runner.ts';
import { RECORDING, referenceFor, type Reference } from './open_reference.ts';
import { runVerification } from './verify_bundle.ts';
import { withLinks } from './with_links.ts';

export interface VerifyForeignOptions extends Omit<ForeignOptions, 'device'>, DeviceChoice {
  /** A folder or a file without a manifest of ours. */
  readonly bundle: string;
  readonly against?: string | readonly string[] | undefined;
  readonly adapters?: readonly AdapterSource[] | undefined;
  /** What it is to be judged as; default what its weights are stored in. */
  readonly dtype?: Precision | undefined;
  /** Whether every stage of a case is compared also where all outputs agree. */
  readonly everyStage?: boolean | undefined;
  /** Hears what is to be measured, before anything is: what it throws ends the verification. */
  readonly onKnown?: (measured: Measured) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A backend that knows exports of its kind. */
export type Knowing = Backend & { readonly foreign: ForeignBundles };

/** The backend whose graphs lie at a path where no manifest of ours is; undefined where there is none. */
export async function foreignBackend(path: string): Promise<Knowing | undefined> {
  const manifest = await stat(join(path, MANIFEST_NAME)).catch(() => undefined);
  if (manifest) return undefined;
  for (const name of backendNames()) {
    const backend = await findBackend(name);
    if (await backend.foreign?.recognizes(path)) return backend as Knowing;
  }
  return undefined;
}

/**
 * Compares what another exporter made of a checkpoint with the checkpoint, or with a recording of the original. What
 * the export has no graph for is computed by the reference, and said so; without a manifest nothing is known of it
 * but its graphs. The report may say that it failed.
 * @throws BackendError for ports that are not understood; UsageError, BadInputError for a reference that does not fit
 */
export function verifyForeign(
  backend: Knowing,
  options: VerifyForeignOptions,
  reporter: Reporter,
): Promise<VerifyReport> {
  return withInputs((inputs) => verifyWith(inputs, backend, options, reporter));
}

async function verifyWith(
  inputs: Inputs,
  backend: Knowing,
  {
    bundle: path,
    against,
    adapters = [],
    dtype,
    device: text,
    browser,
    map,
    variantSuffix,
    everyStage,
    onKnown,
    signal,
  }: VerifyForeignOptions,
  reporter: Reporter,
): Promise<VerifyReport> {
  if (against === undefined)
    throw new UsageError('export_without_against', 'nothing says what this export was made of: it has no manifest', {
      file: path,
      hint: 'name the original with --against: the checkpoint, or a recording of what it computes',
    });
  const { device } = await chooseDevice(backend, { device: text, browser });
  const opened = await backend.foreign.open(path, {
    ...(map && { map }),
    ...(variantSuffix !== undefined && { variantSuffix }),
    device,
  });
  const source = await openOriginal(path, opened, against, adapters, inputs).catch(async (error: unknown) => {
    await opened.runner.dispose();
    throw error;
  });
  try {
    const precision = dtype ?? opened.precision;
    const { metadata, recording } = source;
    checkSizes(opened, metadata, path);
    onKnown?.({ precision, model: measuredModel(metadata) });
    const reference: Omit<Reference, 'close' | 'weights'> = recording
      ? recordedWith(recording, precision)
      : await referenceFor(precision, { original: source.model!.model.program, help: 'none' }, reporter);
    const judged = { ...reference, ...(isQuantized(precision) ? quantizedOnly(reference) : {}) };
    const cases = reference.cases
      .filter(({ firstPosition }) => firstPosition === undefined || !opened.without.includes('position_ids'))
      .map((each) => (each.firstPosition === undefined ? each : { ...each, anglesInF32: true }));
    const rest = runnerOf(reference);
    const scale = await scaleOf(opened, { metadata, recording, rest, cases });
    const candidate = asBundle(opened, metadata, { scale, rest });
    const report = await runVerification(
      candidate,
      { ...judged, cases },
      {
        metadata,
        precision,
        accuracyLevel: undefined,
        roundedActivations: opened.roundedActivations,
        everyStage,
        signal,
      },
      reporter,
    );
    const weights = source.model && (await foundWeights(backend, opened, source.model, signal, reporter));
    return withLinks(
      {
        ...report,
        checks: report.checks.filter(
          ({ output }) => output !== 'image_features' || opened.graphs.includes('vision_encoder'),
        ),
        notes: notesOf(opened, { precision, scale, dropped: reference.cases.length - cases.length }),
      },
      {
        weights: typeof weights === 'object' ? weights : undefined,
        without: typeof weights === 'string' ? weights : RECORDING,
        isRecording: recording !== undefined,
      },
    );
  } finally {
    await opened.runner.dispose();
    await source.close();
  }
}

interface Opened {
  readonly metadata: ProgramMetadata;
  readonly model?: OpenModel;
  readonly recording?: OpenRecording;
  close(): Promise<void>;
}

async function openOriginal(
  path: string,
  opened: ForeignBundle,
  against: string | readonly string[],
  adapters: readonly AdapterSource[],
  inputs: Inputs,
): Promise<Opened> {
  const any = { vocabSize: Infinity, imageTokenId: -1 };
  const recording = typeof against === 'string' ? await openRecording(against, any, { inputs }) : undefined;
  if (!recording) {
    const model = await openModel({ checkpoint: against, adapters, inputs });
    return { metadata: model.model.program.metadata, model, close: () => model.close() };
  }
  const lacking = ['embed_tokens', 'vision_encoder'].filter((graph) => !opened.graphs.includes(graph));
  if (lacking.length > 0)
    throw new UsageError('export_incomplete', `it has no ${lacking.join(' and no ')}, and a recording computes none`, {
      file: path,
      hint: 'name the checkpoint with --against, or the folder that holds all graphs',
    });
  return { metadata: recordedSizes(recording, opened), recording, close: async () => {} };
}

/** What a recording and the cache of an export say of a model. */
function recordedSizes({ reference, cases, path }: OpenRecording, { cache }: ForeignBundle): ProgramMetadata {
  const [first] = cases;
  const outcome = first && reference.outcomes.get(first.name);
  const [features, logits] = [outcome?.imageFeatures, outcome?.prefillLogits];
  const { kvHeads, headDim, layers } = cache;
  if (!first || !features || !logits || kvHeads === undefined || headDim === undefined)
    throw new UsageError('export_sizes', 'the decoder does not state heads and width of its KV cache', {
      file: path,
      hint: 'name the checkpoint with --against: its config.json states them',
    });
  const ids = cases.flatMap(({ inputIds, suffixIds }) => [...inputIds.data, ...(suffixIds?.data ?? [])]);
  const columns = logits.shape.at(-1)!;
  return {
    family: 'recorded',
    variant: 'of a recording',
    imageSize: first.pixelValues.shape[3]!,
    imageTokens: features.shape[1]!,
    imageTokenId: first.imageTokenId,
    // rows from <image> on are none of the original's, unless a token of a case is
    vocabSize: ids.some((id) => id > first.imageTokenId) ? columns : Math.min(columns, first.imageTokenId),
    layers,
    kvHeads,
    headDim,
    hiddenSize: features.shape[2]!,
    bosTokenId: first.inputIds.data.find((id) => id !== first.imageTokenId) ?? 0,
    eosTokenId: 0,
    padTokenId: 0,
    maxPositions: 1 + Math.max(...cases.map(lengthOf)),
  };
}

function lengthOf({ inputIds, suffixIds, maxNewTokens }: VerifyCase): number {
  return inputIds.shape[1]! + Math.max(suffixIds?.shape[1] ?? 0, maxNewTokens);
}

/** @throws BadInputError when it cannot be an export of that model */
function checkSizes({ cache, sizes }: ForeignBundle, metadata: ProgramMetadata, path: string): void {
  const known = { ...cache, ...sizes };
  const differing = (['layers', 'kvHeads', 'headDim', 'hiddenSize', 'imageSize'] as const).filter(
    (field) => known[field] !== undefined && known[field] !== metadata[field],
  );
  if (differing.length === 0) return;
  throw new BadInputError(
    'other_model',
    `the original has ${differing.map((field) => `${field} ${metadata[field]}, the export ${known[field]}`).join('; ')}`,
    { file: path, hint: 'name the checkpoint that it was made from' },
  );
}

function recordedWith({ reference, cases, stages }: OpenRecording, precision: Precision) {
  return isQuantized(precision)
    ? { original: { model: reference, help: 'none' as const }, cases, stages }
    : { runner: reference, cases, stages };
}

/** Codes of another's export cannot be made again: what they cost is all that is asked. */
function quantizedOnly({ runner, original }: Pick<Reference, 'runner' | 'original'>): Pick<Reference, 'original'> {
  return { original: original ?? { model: runner!, help: 'none' } };
}

/** The reference, where it computes. */
function runnerOf({ runner, original }: Pick<Reference, 'runner' | 'original'>): Runner | undefined {
  const side = runner ?? original?.model;
  return side && !('outcomes' in side) ? side : undefined;
}

/**
 * √D where embeddings and image features are that much smaller than the reference's: the decoder scales both then, as
 * transformers before 5 has it; else 1.
 */
async function scaleOf(
  { runner, graphs }: ForeignBundle,
  {
    metadata,
    recording,
    rest,
    cases,
  }: {
    readonly metadata: ProgramMetadata;
    readonly recording: OpenRecording | undefined;
    readonly rest: Runner | undefined;
    readonly cases: readonly VerifyCase[];
  },
): Promise<number> {
  const root = Math.sqrt(metadata.hiddenSize);
  const isRoot = (theirs: Tensor | undefined, ours: Tensor | undefined) => {
    const ratio = theirs && ours && ratioOf(theirs, ours);
    return ratio !== undefined && Math.abs(ratio / root - 1) < 0.01;
  };
  if (rest && graphs.includes('embed_tokens')) {
    const ids = tensorOf('i64', [1, 2], [metadata.bosTokenId, metadata.eosTokenId]);
    const [theirs, ours] = [
      await runner.run('embed_tokens', { input_ids: ids }),
      await rest.run('embed_tokens', { input_ids: ids }),
    ];
    if (!isRoot(theirs['inputs_embeds'], ours['inputs_embeds'])) return 1;
  }
  const pictured = cases.find(hasImages);
  if (!pictured || !graphs.includes('vision_encoder')) return 1;
  const pixels = { pixel_values: batchMember(pictured.pixelValues, 0) };
  const features = recording
    ? recording.reference.outcomes.get(pictured.name)?.imageFeatures
    : (await rest!.run('vision_encoder', pixels))['image_features'];
  const theirs = (await runner.run('vision_encoder', pixels))['image_features'];
  return isRoot(theirs, features && batchMember(features, 0)) ? root : 1;
}

/** Weights that were found by their values, or why none was. */
async function foundWeights(
  backend: Knowing,
  { files, graphs }: ForeignBundle,
  { model }: OpenModel,
  signal: AbortSignal | undefined,
  reporter: Reporter,
): Promise<WeightsReport | string> {
  if (!backend.storedFields) return 'the backend does not say where weights lie in its bundles';
  try {
    await useKernels();
    const fields = await backend.storedFields(files);
    const stage = reporter.stage('look for weights', { unit: 'steps', total: 1 });
    const report = await weightsByValue({ dir: files.dir, fields, program: model.program, graphs, signal });
    stage.advance(1);
    stage.done();
    return (
      report ?? 'most values of the checkpoint are in no tensor of the export: it has codes, or another checkpoint’s'
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BackendError)) throw error;
    return error.message;
  }
}

function notesOf(
  { graphs, without, roundedActivations }: ForeignBundle,
  { precision, scale, dropped }: { readonly precision: Precision; readonly scale: number; readonly dropped: number },
): readonly string[] {
  const lacking = ['vision_encoder', 'embed_tokens'].filter((graph) => !graphs.includes(graph));
  return [
    `judged as ${precision}`,
    ...(lacking.length > 0
      ? [`not compared: ${lacking.join(' and ')}, which the export has not; the reference computed them`]
      : []),
    ...(scale === 1
      ? []
      : [
          `embeddings and image features are outside of the decoder ${scale.toPrecision(6)} times smaller (√D): it scales them`,
        ]),
    ...(roundedActivations === 'as a whole'
      ? [
          'its graphs round activations to 8 bits with one range for all rows and tokens: what a row computes depends on those beside it',
        ]
      : roundedActivations === 'in blocks'
        ? ['its graphs may round activations to 8 bits before products']
        : []),
    ...(without.length > 0 ? [`the decoder has no input ${without.join(' and no ')}`] : []),
    ...(dropped > 0 ? ['not asked: the last positions, since the decoder counts positions by itself'] : []),
  ];
}

import { dirname, join, resolve } from 'node:path';
import { stat } from 'node:fs/promises';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { syntheticCases, type VerifyCase } from '../../verify/cases.ts';
import { stageNames, type StageNames } from '../../verify/divergence.ts';
import { readRecorded } from '../../verify/recorded.ts';
import type { Recorded } from '../../verify/recording.ts';
import { verifyProgram, type Original, type VerifyReport } from '../../verify/verify.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import type { QuantizeAlgorithm } from '../../ir/formats/index.ts';
import type { EmitOptions, Runner } from '../../backends/backend.ts';
import { findBackend } from '../../backends/find_backend.ts';
import type { Program, ProgramMetadata } from '../../ir/graph.ts';
import { bundleProcessor, bundleTokenizer, openStaged } from '../bundle/open_bundle.ts';
import { checkBundle } from '../bundle/check_bundle.ts';
import { checkLedger } from './check_ledger.ts';
import { hashSources } from '../bundle/hash_sources.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { locateCheckpoint } from '../checkpoints/locate.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { openModel, sourceFiles, type AdapterSource, type OpenModel } from '../models/open_model.ts';
import type { Model } from '../models/family.ts';
import { chooseStorage } from '../precision/bit_allocation/index.ts';
import { helpOf, isGuided, isQuantized, PRECISIONS, programsFor } from '../precision/precision.ts';
import { realCases } from '../samples/real_cases.ts';
import { findSamples } from '../samples/samples.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withSteps } from '../terminal/steps.ts';
import { useKernels } from '../threads/kernels_module.ts';
import { QuantizePool } from '../threads/quantize_pool.ts';
import { threadCount } from '../threads/thread_count.ts';
import { namingPath } from './convert_options.ts';

export interface VerifyBundleOptions {
  readonly bundle: string;
  /**
   * A checkpoint, or a recording (golden.safetensors, with stages.safetensors beside it); default the checkpoint that
   * was converted.
   */
  readonly against?: string | readonly string[];
  /** Merged into the checkpoint that `against` names; default none, since it may be merged already. */
  readonly adapters?: readonly AdapterSource[];
  /** Default `cpu`. */
  readonly device?: string;
  readonly signal?: AbortSignal;
}

/** What a bundle is held against. */
export interface Reference {
  /** What it must equal but for rounding; undefined for a quantized bundle whose codes cannot be made again. */
  readonly runner?: Runner | Recorded;
  /** Of quantized bundles: the model as it was. */
  readonly original?: Original;
  readonly cases: readonly VerifyCase[];
  readonly stages: StageNames;
  close(): Promise<void>;
}

/**
 * Checks every byte of a bundle against its manifest, runs it in its runtime, and compares with the original.
 * The report may say that it failed. @throws BadInputError for a damaged bundle or reference, UsageError when the
 * reference is not known
 */
export async function verifyBundle(
  { bundle: dir, against, adapters, device, signal }: VerifyBundleOptions,
  reporter: Reporter,
): Promise<VerifyReport> {
  if (against === undefined && (adapters?.length ?? 0) > 0)
    throw new UsageError('adapters_without_against', '--adapter says what to merge into the checkpoint of --against', {
      hint: 'name it with --against; without, the recorded checkpoint and adapters are used',
    });
  const { manifest, unlisted } = await checkBundle(dir, signal ? { signal } : {});
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
  const reference = await openReference(dir, manifest, against, adapters);
  try {
    const bundle = await openStaged(dir, manifest, device);
    try {
      return await runVerification(
        bundle.runner,
        reference,
        { metadata: bundle.metadata, precision, accuracyLevel: manifest.options.accuracyLevel, signal },
        reporter,
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
  readonly signal?: AbortSignal | undefined;
}

/** Compares a runner with a reference, with progress. The report may say that it failed. */
export function runVerification(
  candidate: Runner,
  reference: Omit<Reference, 'close'>,
  { metadata, precision, accuracyLevel, signal }: Converted,
  reporter: Reporter,
): Promise<VerifyReport> {
  return withSteps(reporter, 'verify', (onProgress) =>
    verifyProgram({
      candidate,
      ...(reference.runner && { reference: reference.runner }),
      ...(reference.original && { original: reference.original }),
      metadata,
      cases: reference.cases,
      precision,
      roundedActivations: accuracyLevel === 4,
      stages: reference.stages,
      onProgress,
      ...(signal && { signal }),
    }),
  );
}

async function openReference(
  dir: string,
  manifest: Manifest,
  against: VerifyBundleOptions['against'],
  adapters: readonly AdapterSource[] = [],
): Promise<Reference> {
  const precision = manifest.precision as Precision;
  const recorded = typeof against === 'string' ? await openRecording(against) : undefined;
  if (recorded && isQuantized(precision)) {
    const { runner, ...rest } = recorded;
    return { ...rest, original: { model: runner!, help: helpOf(manifest.options) } };
  }
  if (recorded) return recorded;
  const { reference, finalSoftcap, slidingWindow, leaveOut } = manifest.options;
  const source = await (against === undefined
    ? openConverted(dir, manifest)
    : openModel({
        checkpoint: against,
        adapters,
        tokenizer: givenTokenizer(dir, manifest),
        reference,
        finalSoftcap,
        slidingWindow,
        leaveOut,
      }));
  const pool = isQuantized(precision) ? new QuantizePool(threadCount(), await useKernels()) : undefined;
  const close = async () => {
    await pool?.dispose();
    await source.close();
  };
  try {
    checkSameModel(source, manifest, dir);
    checkLedger(source, manifest);
    const { program } = source.model;
    const quantized = pool && (await remade(source.model, manifest, pool));
    const samples = await findSamples(resolve(namingPath(manifest.options)));
    const cases =
      pool &&
      (await realCases(samples, await bundleTokenizer(dir), program.metadata, await bundleProcessor(dir, manifest)));
    return {
      ...referenceFor(precision, {
        original: program,
        ...(quantized && { reference: quantized }),
        help: helpOf(manifest.options),
        cases,
      }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The program whose codes the bundle holds; undefined when activations chose them: those would have to be computed
 * again.
 */
async function remade(
  model: Model,
  { backend, precision, options }: Manifest,
  executor: QuantizePool,
): Promise<Program | undefined> {
  const { mixed, algorithm, perChannel, allowOverflow } = options;
  if (isGuided(options)) return undefined;
  const storageOf = await chooseStorage({
    precision: precision as Precision,
    mixed,
    program: model.program,
    roleOf: model.roleOf,
  });
  return programsFor(model.program, precision as Precision, {
    storageOf,
    algorithm: algorithm as QuantizeAlgorithm,
    perChannel,
    backend: await findBackend(backend),
    target: options.target,
    quantize: (data, scheme) => quantizeMatrix(data, scheme, { allowOverflow, executor }),
  }).reference;
}

/** @throws BadInputError when the checkpoint cannot be what was converted: inputs for one would not fit the other. */
function checkSameModel({ checkpoint, model }: OpenModel, { program: bundle }: Manifest, dir: string): void {
  const { metadata } = model.program;
  const differing = (
    [
      'family',
      'imageSize',
      'imageTokens',
      'imageTokenId',
      'vocabSize',
      'layers',
      'kvHeads',
      'headDim',
      'hiddenSize',
      'retrievalWidth',
    ] as const
  ).filter((field) => metadata[field] !== bundle[field]);
  if (differing.length === 0) return;
  const said = differing
    .map((field) => `${field} ${String(metadata[field])}, the bundle ${String(bundle[field])}`)
    .join('; ');
  throw new BadInputError('other_model', `the checkpoint has ${said}`, {
    file: checkpoint.path,
    hint: `name the checkpoint from which ${dir} was converted`,
  });
}

/**
 * The evaluator with inputs made for a model's sizes: on the family's f32 program, or, for a quantized bundle, on the
 * program of its codes, and the family's beside it for what the codes cost.
 */
export function referenceFor(
  precision: Precision,
  {
    original,
    reference,
    help,
    cases,
  }: {
    readonly original: Program;
    readonly reference?: Program;
    readonly help: Help;
    readonly cases?: readonly VerifyCase[] | undefined;
  },
): Omit<Reference, 'close'> {
  const common = { cases: syntheticCases(original.metadata), stages: stageNames(original) };
  if (!isQuantized(precision)) return { ...common, runner: evaluatorRunner(original) };
  return {
    ...common,
    ...(reference && { runner: evaluatorRunner(reference) }),
    original: { model: evaluatorRunner(original), help, ...(cases && { cases }) },
  };
}

/** Undefined when the path is no safetensors file with a recording's tensors. */
async function openRecording(path: string): Promise<Reference | undefined> {
  if (!(await stat(path).catch(() => undefined))?.isFile() || (await locateCheckpoint(path)).kind === 'npz')
    return undefined;
  const golden = await openSafetensors(path);
  const stagesPath = join(dirname(path), 'stages.safetensors');
  const stages = (await stat(stagesPath).catch(() => undefined))?.isFile()
    ? await openSafetensors(stagesPath)
    : undefined;
  try {
    if (!golden.tensors.has('pixel_values') || !golden.tensors.has('input_ids')) return undefined;
    const { cases, reference } = await readRecorded(golden.tensors, stages?.tensors, path);
    const names = [...(stages?.tensors.keys() ?? [])];
    return {
      runner: reference,
      cases,
      stages: {
        vision_encoder: inOrder(names.filter((n) => !n.startsWith('lm.'))),
        decoder: inOrder(names.filter((n) => n.startsWith('lm.'))),
      },
      close: async () => {},
    };
  } finally {
    await golden.close();
    await stages?.close();
  }
}

/** Numbered stages by number, and the others behind them: vit.0, vit.1, …, vit.post_layernorm, image_features. */
function inOrder(names: readonly string[]): string[] {
  const rank = (name: string) => {
    const number = Number(/\.(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    return Number.isNaN(number) ? (name.includes('.') ? 1e6 : 1e6 + 1) : number;
  };
  return [...names].sort((a, b) => rank(a) - rank(b));
}

/** The tokenizer that took the place of the checkpoint's: the bundle has it. */
function givenTokenizer(dir: string, { options, files }: Manifest): string | undefined {
  if (options.tokenizer === undefined) return undefined;
  return files.some(({ path }) => path === 'tokenizer.json') ? join(dir, 'tokenizer.json') : options.tokenizer;
}

/** The checkpoint and adapters that the manifest names, when they are still those that were converted. */
async function openConverted(dir: string, manifest: Manifest): Promise<OpenModel> {
  const { checkpoint, adapters, reference, finalSoftcap, slidingWindow, leaveOut } = manifest.options;
  const hint = 'name the original with --against: the checkpoint, or a recording of what it computes';
  const model = await openModel({
    checkpoint: checkpoint.length === 1 ? checkpoint[0]! : checkpoint,
    adapters,
    tokenizer: givenTokenizer(dir, manifest),
    reference,
    finalSoftcap,
    slidingWindow,
    leaveOut,
  }).catch((cause: unknown) => {
    if (!(cause instanceof UsageError)) throw cause;
    throw new UsageError(
      'no_reference',
      `what was converted (${[...checkpoint, ...adapters.map(({ dir: folder }) => folder)].join(', ')}) is not here: ${cause.message}`,
      { file: dir, hint },
      { cause },
    );
  });
  try {
    const hashes = await hashSources(sourceFiles(model));
    const changed = hashes.find(
      ({ path, sha256 }) => manifest.source.files.find((file) => file.path === path)?.sha256 !== sha256,
    );
    if (changed)
      throw new BadInputError(
        'source_changed',
        `"${changed.path}" is not the file that was converted: its sha256 differs`,
        { file: resolve(checkpoint[0]!), hint },
      );
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}

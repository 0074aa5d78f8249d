import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { syntheticCases, type VerifyCase } from '../../verify/cases.ts';
import { stageNames, type StageNames } from '../../verify/divergence.ts';
import { costsOf } from '../../verify/cost.ts';
import { Forecast, type Costs } from '../../verify/forecast.ts';
import type { Recorded } from '../../verify/recording.ts';
import type { Original } from '../../verify/verify.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import type { QuantizeAlgorithm } from '../../ir/formats/index.ts';
import type { Runner } from '../../backends/backend.ts';
import { findBackend } from '../../backends/find_backend.ts';
import type { Program } from '../../ir/graph.ts';
import { bundleProcessor, bundleTokenizer } from '../bundle/open_bundle.ts';
import type { CheckWeightsOptions } from './check_weights.ts';
import { checkLedger } from './check_ledger.ts';
import { hashSources } from '../bundle/hash_sources.ts';
import type { Manifest } from '../bundle/manifest.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { isOfMaskDecoder } from '../models/mask_decoder_files.ts';
import { openModel, sourceFiles, type AdapterSource, type OpenModel } from '../models/open_model.ts';
import type { Model } from '../models/family.ts';
import { matricesChosen, type ChosenMatrices } from '../precision/chosen_by_data.ts';
import { balancedProgram, formatFor, helpOf, isQuantized, programsFor } from '../precision/precision.ts';
import { checkSource } from '../record/check_source.ts';
import { openRecording, type OpenRecording } from '../record/open_recording.ts';
import { picturesShown } from '../samples/folder_samples.ts';
import { realCases } from '../samples/real_cases.ts';
import { findSamples } from '../samples/samples.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withBytes } from '../terminal/bytes.ts';
import { withWait } from '../terminal/waiting.ts';
import { useKernels } from '../threads/kernels_module.ts';
import { QuantizePool } from '../threads/quantize_pool.ts';
import { threadCount } from '../threads/thread_count.ts';
import { namingPath } from './convert_options.ts';
import { referenceKernels } from './reference_kernels.ts';

/** What a bundle is held against. */
export interface Reference {
  /** What it must equal but for rounding; undefined for a quantized bundle whose codes cannot be made again. */
  readonly runner?: Runner | Recorded;
  /** Of quantized bundles: the model as it was. */
  readonly original?: Original;
  readonly cases: readonly VerifyCase[];
  readonly stages: StageNames;
  /** Absent for a recording. */
  readonly model?: Model;
  /** Knows what cases cost. */
  readonly forecast?: Forecast;
  /** Whose weights the bundle must hold, or why nobody can say. */
  readonly weights: Pick<CheckWeightsOptions, 'program' | 'codesUnknown'> | string;
  close(): Promise<void>;
}

export async function openReference(
  dir: string,
  manifest: Manifest,
  {
    against,
    adapters = [],
    inputs,
    signal,
  }: {
    readonly against: string | readonly string[] | undefined;
    readonly adapters: readonly AdapterSource[] | undefined;
    /** Which all that is read, but of the bundle, is among. */
    readonly inputs: Inputs;
    readonly signal: AbortSignal | undefined;
  },
  reporter: Reporter,
): Promise<Reference> {
  const precision = manifest.precision as Precision;
  const recording =
    typeof against === 'string'
      ? await withWait(reporter, 'open what is compared with', () =>
          openRecording(against, manifest.program, { inputs, made: madeOf(manifest) }),
        )
      : undefined;
  if (recording) return { ...recordedReference(recording, manifest), close: async () => {} };
  await requireMaskDecoder(manifest);
  const source = await (against === undefined
    ? openConverted(dir, manifest, { inputs, signal }, reporter)
    : withWait(reporter, 'open the checkpoint', () =>
        openModel({
          checkpoint: against,
          adapters,
          ...recordedChoices(dir, manifest),
          inputs,
        }),
      ));
  const pool = isQuantized(precision) ? new QuantizePool(threadCount(), await useKernels()) : undefined;
  const close = async () => {
    await pool?.dispose();
    await source.close();
  };
  try {
    checkSameModel(source, manifest, dir);
    checkLedger(source, manifest);
    const { program } = source.model;
    const chosen = matricesChosen(manifest);
    const balanced = balancedProgram(program, precision, manifest.options.balance ?? 'none');
    const quantized =
      pool && (await withWait(reporter, 'prepare the program', () => remade(balanced, manifest, chosen, pool)));
    const isWhole = chosen !== 'unknown' && chosen.size === 0;
    const help = helpOf(manifest.options.mixed, chosen);
    const samples = await findSamples(resolve(namingPath(manifest.options)));
    const cases =
      pool &&
      (await realCases(
        samples,
        await bundleTokenizer(dir, manifest),
        program.metadata,
        await bundleProcessor(dir, manifest),
        inputs,
        await shownIn(manifest, inputs),
      ));
    return {
      ...(await referenceFor(
        precision,
        { original: program, ...(quantized && isWhole && { reference: quantized }), help, cases },
        reporter,
      )),
      model: source.model,
      weights:
        against === undefined || (await isConverted(source, manifest))
          ? {
              program: quantized ?? balanced,
              ...(pool && { codesUnknown: quantized && chosen !== 'unknown' ? chosen : 'all' }),
            }
          : 'the checkpoint of --against is not, byte by byte, the one that was converted',
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function madeOf({ source, options }: Pick<Manifest, 'source' | 'options'>) {
  return { files: source.files.filter(({ path }) => !isOfMaskDecoder(path)), adapters: options.adapters };
}

/**
 * What the original was recorded to say as a reference: a bundle in floats must equal it, a quantized one may differ by
 * what its codes cost. @throws BadInputError when the recording is of another checkpoint
 */
export function recordedReference(
  recording: OpenRecording,
  { precision, options, source, chosenByData }: Pick<Manifest, 'precision' | 'options' | 'source' | 'chosenByData'>,
): Omit<Reference, 'close'> {
  checkSource(recording, madeOf({ source, options }));
  const { reference, cases, stages } = recording;
  return isQuantized(precision as Precision)
    ? {
        original: { model: reference, help: helpOf(options.mixed, matricesChosen({ options, chosenByData })) },
        cases,
        stages,
        weights: RECORDING,
      }
    : { runner: reference, cases, stages, weights: RECORDING };
}

/**
 * The program whose codes the bundle holds, with floats for those that data chose: these would have to be computed
 * again. Undefined when nobody knows which.
 */
async function remade(
  program: Program,
  { backend, precision, options, storage }: Manifest,
  chosen: ChosenMatrices,
  executor: QuantizePool,
): Promise<Program | undefined> {
  const { algorithm = 'search', perChannel, allowOverflow } = options;
  const base = formatFor(precision as Precision);
  // manifests did not always tell the bits of each matrix, and the rules have changed
  if (chosen === 'unknown' || !storage || !base) return undefined;
  return programsFor(program, precision as Precision, {
    storageOf: ({ name }) => (chosen.has(name) ? 'fp32' : (storage[name] ?? base)),
    // of what GPTQ did not win the usual search is kept
    algorithm: (algorithm === 'gptq' ? 'search' : algorithm) as QuantizeAlgorithm,
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
export async function referenceFor(
  precision: Precision,
  {
    original,
    reference,
    help,
    cases: real,
  }: {
    readonly original: Program;
    readonly reference?: Program;
    readonly help: Help;
    readonly cases?: readonly VerifyCase[] | undefined;
  },
  reporter: Reporter,
): Promise<Omit<Reference, 'close' | 'weights'>> {
  const costs = new Map<VerifyCase, Costs>();
  const costOfCase = (verifyCase: VerifyCase): Costs => {
    const known = costs.get(verifyCase) ?? costsOf(original, verifyCase);
    costs.set(verifyCase, known);
    return known;
  };
  const cases = syntheticCases(original.metadata);
  const total = cases.flatMap((each) => Object.values(costOfCase(each))).reduce((sum, cost) => sum + cost, 0);
  const kernels = await referenceKernels(total, reporter);
  const runnerOf = (program: Program) =>
    evaluatorRunner(program, kernels && 'IR evaluator, float64 by ONNX Runtime', kernels && { kernels });
  const common = { cases, stages: stageNames(original), forecast: new Forecast(costOfCase) };
  if (!isQuantized(precision)) return { ...common, runner: runnerOf(original) };
  return {
    ...common,
    ...(reference && { runner: runnerOf(reference) }),
    original: { model: runnerOf(original), help, ...(real && { cases: real }) },
  };
}

/** Why a recording says nothing of weights. */
export const RECORDING = 'a recording holds no weights';

/** Whether a checkpoint has the files that were converted: names and sizes first, and then what is in them. */
async function isConverted(source: OpenModel, { source: { files } }: Manifest): Promise<boolean> {
  const known = new Map(files.map(({ path, sha256 }) => [path, sha256]));
  const own = sourceFiles(source);
  if (own.length !== files.length || own.some(({ name }) => !known.has(name))) return false;
  return (await hashSources(own, source.inputs)).every(({ path, sha256 }) => known.get(path) === sha256);
}

/** How the checkpoint was read when it was converted. */
function recordedChoices(dir: string, manifest: Manifest) {
  const { reference, finalSoftcap, slidingWindow, leaveOut, maskDecoder } = manifest.options;
  return { tokenizer: givenTokenizer(dir, manifest), reference, finalSoftcap, slidingWindow, leaveOut, maskDecoder };
}

/** The tokenizer that took the place of the checkpoint's: the bundle has it. */
function givenTokenizer(dir: string, { options, files }: Manifest): string | undefined {
  if (options.tokenizer === undefined) return undefined;
  return files.some(({ path }) => path === 'tokenizer.json') ? join(dir, 'tokenizer.json') : options.tokenizer;
}

/** Pictures that chose the codes of a bundle, where they are still here. */
async function shownIn({ options }: Manifest, inputs: Inputs): Promise<ReadonlySet<string>> {
  return picturesShown([options.calibrate], inputs).catch(() => new Set<string>());
}

/** @throws UsageError `no_reference` where the decoder is not where it was when the bundle was made */
async function requireMaskDecoder({ options: { maskDecoder } }: Manifest): Promise<void> {
  if (maskDecoder === undefined || (await stat(maskDecoder).catch(() => undefined))) return;
  throw new UsageError('no_reference', 'the mask decoder that was converted is not here', {
    file: resolve(maskDecoder),
    hint: 'name it with --mask-decoder: the path in the manifest is from the folder where the bundle was made',
  });
}

/** The checkpoint and adapters that the manifest names, when they are still those that were converted. */
async function openConverted(
  dir: string,
  manifest: Manifest,
  { inputs, signal }: { readonly inputs: Inputs; readonly signal: AbortSignal | undefined },
  reporter: Reporter,
): Promise<OpenModel> {
  const { checkpoint, adapters } = manifest.options;
  const hint = 'name the original with --against: the checkpoint, or a recording of what it computes';
  const model = await openModel({
    checkpoint: checkpoint.length === 1 ? checkpoint[0]! : checkpoint,
    adapters,
    ...recordedChoices(dir, manifest),
    inputs,
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
    const hashes = await withBytes(reporter, 'hash the checkpoint', (hashing) =>
      hashSources(sourceFiles(model), model.inputs, { ...hashing, ...(signal && { signal }) }),
    );
    const changed = hashes.find(
      ({ path, sha256 }) => manifest.source.files.find((file) => file.path === path)?.sha256 !== sha256,
    );
    if (changed)
      throw new BadInputError(
        'source_changed',
        `"${changed.path}" is not the file that was converted: its sha256 differs`,
        isOfMaskDecoder(changed.path)
          ? { file: resolve(manifest.options.maskDecoder!), hint: 'name the mask decoder with --mask-decoder' }
          : { file: resolve(checkpoint[0]!), hint },
      );
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}

import { dirname, resolve } from 'node:path';
import type { Backend } from '../../backends/backend.ts';
import type { PreparedFiles } from '../../backends/client_files.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { backendNames, backendsThat, findBackend, isBackendName } from '../../backends/find_backend.ts';
import { BackendError } from '../../backends/error.ts';
import { formats } from '../../ir/formats/index.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, type TensorData } from '../../ir/tensor.ts';
import { sliceRows } from '../../ir/views/select.ts';
import { contentKey } from '../../ir/views/content.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { checkOutput, checkSpace } from '../bundle/output_folder.ts';
import { requireRuntime } from '../bundle/require_runtime.ts';
import type { ManifestFields } from '../bundle/manifest.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { formatFor, isQuantized, roundsToF16, usualMixed } from '../precision/precision.ts';
import { findSamples } from '../samples/samples.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { checkpointProcessor } from '../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import type { Reporter } from '../terminal/reporter.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { chosenFor, type MadeChoices } from './backend_choices.ts';
import { defaultOut, namingPath, type ConvertOptions } from './convert_options.ts';

/** One run of `convert`: what is converted, and every choice about it, made. */
export interface Conversion {
  /** As they were given. */
  readonly options: ConvertOptions;
  readonly out: string;
  readonly source: OpenModel;
  readonly backend: Backend;
  /** What the backend lets one choose. */
  readonly made: MadeChoices;
  /** What the manifest records. */
  readonly recorded: ManifestFields['options'];
  readonly verify: boolean;
  /** Pictures and prompts of the model, where there are some. */
  readonly samplesFile: string | undefined;
  /** Files of the bundle that are made of the checkpoint's; read when they are first asked for. */
  prepared(): Promise<PreparedFiles>;
  /** The tokenizer that the bundle gets; made when it is first asked for: a real one takes seconds. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** How the bundle wants pictures and prompts. */
  processor(): Promise<Processor>;
  close(): Promise<void>;
}

/**
 * Opens a checkpoint for a conversion. No weight is read, and nothing is written.
 * @throws OutputError for a place that cannot be written, BadInputError for what is no model, UsageError for choices
 * that the model or the backend does not have
 */
export async function openConversion(options: ConvertOptions, reporter: Reporter): Promise<Conversion> {
  const out = options.out ?? defaultOut(options);
  await checkOutput(out, options.force ?? false);
  const { adapters = [], reference = 'huggingface', finalSoftcap = 'auto', slidingWindow = 'auto' } = options;
  const checkpoint = [options.checkpoint].flat();
  const switches = { reference, finalSoftcap, slidingWindow };
  const source = await openModel({
    checkpoint: options.checkpoint,
    adapters,
    tokenizer: options.tokenizer,
    leaveOut: options.leaveOut,
    ...switches,
  });
  try {
    for (const warning of source.warnings) reporter.warn(warning);
    const backend = await backendFor(options.backend);
    const made = await chosenFor(backend, options, options.precision);
    await checkServed(backend, source.model);
    const verify = options.verify !== false;
    if (verify || options.samples !== undefined) await requireVerifier(backend);
    await checkSpace(dirname(resolve(out)), leastBytes(source.model.program, options.precision));
    const { mixed = usualMixed(backend, made.target), algorithm = 'search', perChannel = false } = options;
    const recorded = {
      checkpoint,
      adapters: adapters.map(({ dir, scale }) => ({ dir, scale })),
      ...switches,
      ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
      ...(options.leaveOut && options.leaveOut.length > 0 && { leaveOut: [...options.leaveOut] }),
      mixed: isQuantized(options.precision) ? mixed : 'none',
      algorithm,
      perChannel,
      calibrate: options.calibrate ?? '',
      ...made,
      strict: options.strict ?? false,
      allowOverflow: options.allowOverflow ?? false,
    };
    const { metadata } = source.model.program;
    const prepared = once(() =>
      preparedFor(
        { config: source.checkpoint.config, sidecars: source.sidecars },
        { metadata, reference, tokenizer: options.tokenizer },
      ),
    );
    return {
      options,
      out,
      source,
      backend,
      made,
      recorded,
      verify,
      samplesFile: options.samples ?? (await findSamples(resolve(namingPath(options)))),
      prepared,
      tokenizer: once(async () => checkpointTokenizer(await prepared())),
      processor: once(async () => checkpointProcessor(await prepared(), reference)),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** What is made when it is first asked for, and then kept. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** @throws BackendError when what runs the bundle is not here: better now than after the work */
async function requireVerifier(backend: Backend): Promise<void> {
  await requireRuntime([backend]).catch((error: unknown) => {
    if (!(error instanceof BackendError && error.code === 'runtime-missing')) throw error;
    const { hint, ...place } = error.place;
    const first = hint === undefined ? '' : `${hint}; or `;
    throw new BackendError(
      error.code,
      error.message,
      { ...place, hint: `${first}convert with --no-verify, and run pgconv verify where there is one` },
      { cause: error },
    );
  });
}

/** Bytes that a bundle has at least: its weights in the fewest bits that the precision stores them in. */
function leastBytes(program: Program, precision: Precision): number {
  const weights = new Map<string, number>();
  for (const { constants } of program.graphs)
    for (const constant of constants)
      if (constant.kind === 'weight') weights.set(firstRowOf(constant.data), elementCount(constant.data.shape));
  const format = formatFor(precision);
  const bits = format ? formats[format].bits : roundsToF16(precision) || precision === 'bf16' ? 16 : 32;
  return ([...weights.values()].reduce((sum, count) => sum + count, 0) * bits) / 8;
}

/** Tells weights apart; a table and the head that is its first rows are one. */
function firstRowOf(data: TensorData): string {
  return data.shape.length > 1 ? contentKey(sliceRows(data, 0, 1)) : contentKey(data);
}

/** @throws UsageError when there is none of that name */
async function backendFor(name: string): Promise<Backend> {
  if (isBackendName(name)) return findBackend(name);
  throw new UsageError('unknown_backend', `there is no backend "${name}"`, {
    hint: `choose one of ${backendNames().join(', ')}`,
  });
}

/** @throws UsageError for a model that the clients of the backend's bundles cannot serve */
async function checkServed(backend: Backend, { program: { metadata } }: Model): Promise<void> {
  const reason = backend.modelRefusal?.(metadata);
  if (reason === undefined) return;
  const others = await backendsThat((other) => other.modelRefusal?.(metadata) === undefined);
  throw new UsageError('unsupported_model', `${backend.name} bundles cannot serve this model: ${reason}`, {
    hint: others.length === 0 ? 'no backend serves it' : `convert --to ${others.join(' or ')}`,
  });
}

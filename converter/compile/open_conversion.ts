import { resolve } from 'node:path';
import type { Backend } from '../../backends/backend.ts';
import type { PreparedFiles } from '../../backends/client_files.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { backendNames, backendsThat, findBackend, isBackendName } from '../../backends/find_backend.ts';
import { checkOutput } from '../bundle/output_folder.ts';
import type { ManifestFields } from '../bundle/manifest.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { isQuantized, usualMixed } from '../precision/precision.ts';
import { findSamples } from '../samples/samples.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { checkpointProcessor } from '../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import type { Reporter } from '../terminal/reporter.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { chosenFor, type MadeChoices } from './backend_choices.ts';
import { requireSpace, requireVerifier } from './before_work.ts';
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
    await requireSpace(out, source.model.program, options.precision);
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

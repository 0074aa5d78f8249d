import { resolve } from 'node:path';
import type { Backend } from '../../backends/backend.ts';
import type { PreparedFiles } from '../../backends/client_files.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import { backendNames, backendsThat, findBackend, isBackendName } from '../../backends/find_backend.ts';
import type { PassRun } from '../../ir/passes/index.ts';
import type { ChosenDevice } from '../bundle/choose_device.ts';
import type { Claim } from '../bundle/claim.ts';
import type { ManifestFields } from '../bundle/manifest.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { isOfMaskDecoder } from '../models/mask_decoder_files.ts';
import { openModel, sourceFiles, type AdapterSource, type OpenModel } from '../models/open_model.ts';
import { usualBalance } from '../precision/balance.ts';
import { formatFor, isQuantized, usualMixed } from '../precision/precision.ts';
import { openRecording, type OpenRecording } from '../record/open_recording.ts';
import { findSamples, readSamples } from '../samples/samples.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { checkpointProcessor } from '../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withWait } from '../terminal/waiting.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkIrFolder, irFolder } from './print_ir.ts';
import { chosenFor, type MadeChoices } from './backend_choices.ts';
import { requireSpace, requireVerifier } from './before_work.ts';
import { namingPath, type ConvertOptions } from './convert_options.ts';

/** One run of `convert`: what is converted, and every choice about it, made. */
export interface Conversion {
  /** As they were given. */
  readonly options: ConvertOptions;
  /** The place of the bundle, which is this run's alone. */
  readonly claim: Claim;
  readonly source: OpenModel;
  readonly backend: Backend;
  /** What the backend lets one choose. */
  readonly made: MadeChoices;
  /** What the manifest records. */
  readonly recorded: ManifestFields['options'];
  readonly verify: boolean;
  /** Where the bundle runs, if it is to be run. */
  readonly device: ChosenDevice | undefined;
  /** Every pass that has run, in order. */
  readonly passRuns: PassRun[];
  /** What the original was recorded to compute, where that was asked for. */
  readonly recording: OpenRecording | undefined;
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
export async function openConversion(options: ConvertOptions, claim: Claim, reporter: Reporter): Promise<Conversion> {
  const out = claim.folder.path;
  if (options.printIr) await checkIrFolder(irFolder(out));
  const { adapters = [], reference = 'huggingface', finalSoftcap = 'auto', slidingWindow = 'auto' } = options;
  const checkpoint = [options.checkpoint].flat();
  const switches = { reference, finalSoftcap, slidingWindow };
  const source = await withWait(reporter, 'open the checkpoint', () =>
    openModel({
      checkpoint: options.checkpoint,
      adapters,
      tokenizer: options.tokenizer,
      leaveOut: options.leaveOut,
      maskDecoder: options.maskDecoder,
      ...switches,
    }),
  );
  try {
    for (const warning of source.warnings) reporter.warn(warning);
    const backend = await backendFor(options.backend);
    const made = await chosenFor(backend, options, options.precision);
    await checkServed(backend, source.model);
    const verify = options.verify !== false;
    const runs = verify || options.against !== undefined || options.samples !== undefined;
    const device = runs ? await requireVerifier(backend, options, reporter) : undefined;
    const recording = options.against === undefined ? undefined : await recordingOf(options.against, source, adapters);
    await requireSpace(claim, source.model.program, options.precision);
    const { mixed = usualMixed(backend, made.target), algorithm, perChannel = false } = options;
    const balance = options.balance ?? usualBalance(algorithm, formatFor(options.precision));
    const recorded = {
      checkpoint,
      adapters: adapters.map(({ dir, scale }) => ({ dir, scale })),
      ...switches,
      ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
      ...(options.maskDecoder !== undefined && { maskDecoder: options.maskDecoder }),
      ...(options.leaveOut && options.leaveOut.length > 0 && { leaveOut: [...options.leaveOut] }),
      mixed: isQuantized(options.precision) ? mixed : 'none',
      ...(algorithm !== undefined && { algorithm }),
      ...(isQuantized(options.precision) && { balance }),
      perChannel,
      ...(options.budget !== undefined && { budget: options.budget }),
      ...(options.targetKld !== undefined && { targetKld: options.targetKld }),
      calibrate: options.calibrate ?? '',
      ...made,
      strict: options.strict ?? false,
      allowOverflow: options.allowOverflow ?? false,
    };
    const { metadata } = source.model.program;
    const samplesFile = options.samples ?? (await findSamples(resolve(namingPath(options))));
    // a picture that is missing is told before hours of work, not when it is asked
    if (samplesFile !== undefined && runs) await readSamples(samplesFile, source.inputs);
    const prepared = once(() =>
      preparedFor(
        { config: source.checkpoint.config, sidecars: source.sidecars, tokenizer: source.tokenizer },
        { metadata, reference },
      ),
    );
    return {
      options,
      claim,
      source,
      backend,
      made,
      recorded,
      verify,
      device,
      passRuns: [],
      recording,
      samplesFile,
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

/**
 * A recording that may be of this checkpoint: its files have the recorded names and sizes. Hashes come later, when the
 * checkpoint has been read. @throws BadInputError, VerifyError, UsageError when it is none
 */
async function recordingOf(
  path: string,
  source: OpenModel,
  adapters: readonly AdapterSource[],
): Promise<OpenRecording> {
  const files = sourceFiles(source)
    .filter(({ name }) => !isOfMaskDecoder(name))
    .map(({ name, byteLength }) => ({ path: name, bytes: byteLength }));
  const made = { files, adapters };
  const recording = await openRecording(path, source.model.program.metadata, { inputs: source.inputs, made });
  if (!recording)
    throw new UsageError('not_a_recording', 'there is no recording of an original', {
      file: path,
      hint: 'give the .safetensors that the script of `pgconv record` wrote',
    });
  return recording;
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

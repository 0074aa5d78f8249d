import { basename, resolve } from 'node:path';
import type { Artifact, ArtifactFile, EmitOptions } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';
import { backends, type BackendName } from '../../backends/index.ts';
import type { Program } from '../../ir/graph.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { concatRows } from '../../ir/views/concat.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { answer } from '../samples/answer.ts';
import { chosenFor } from './backend_choices.ts';
import { bundleTokenizer, openStaged, type BundleModel } from '../bundle/open_bundle.ts';
import { hashSources } from '../bundle/hash_sources.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { describeNonFinite, type NonFinite } from '../bundle/nonfinite.ts';
import { checkOutput } from '../bundle/output_folder.ts';
import { publishBundle } from '../bundle/publish.ts';
import type { ModuleChange } from '../models/adapters/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { checkClient, sideFiles } from '../sidecars/side_files.ts';
import { readSidecar, readSidecars } from '../sidecars/sidecar.ts';
import type { Model } from '../models/family.ts';
import { decodeImage } from '../images/decode.ts';
import { openModel, sourceFiles, type ModelSource } from '../models/open_model.ts';
import { enforceFindings } from '../precision/calibration/index.ts';
import { isQuantized, usualMixed } from '../precision/precision.ts';
import { realCases } from '../samples/real_cases.ts';
import { preparePrograms, type PrecisionChoices, type PreparedPrograms } from './prepare_programs.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { findSamples, readSamples, type Sample } from '../samples/samples.ts';
import { VerificationFailed } from './verification_failed.ts';
import { referenceFor, runVerification } from './verify_bundle.ts';
import { TOOL } from '../version.ts';

export interface ConvertOptions
  extends ModelSource, PrecisionChoices, Pick<EmitOptions, 'quantizedOps' | 'accuracyLevel' | 'layersPerGraph'> {
  readonly backend: BackendName;
  readonly precision: Precision;
  /** Default: `./<checkpoint>-<backend>-<precision>`. */
  readonly out?: string;
  /** Replace an existing bundle. */
  readonly force?: boolean;
  /** Compare the bundle with the checkpoint before it is put in place; default true. */
  readonly verify?: boolean;
  /** A tokenizer.json or tokenizer.model that comes before the checkpoint's own. */
  readonly tokenizer?: string;
  /**
   * Pictures and prompts with the original's answers; default the eval.json beside the last adapter, else the
   * checkpoint.
   */
  readonly samples?: string;
  readonly strict?: boolean;
  readonly allowOverflow?: boolean;
  readonly signal?: AbortSignal;
}

/** What the converted model said to a sample, beside the original. */
export interface SampleResult extends Sample {
  readonly answer: string;
  readonly same: boolean;
}

export interface ConvertResult {
  /** Absolute path of the bundle. */
  readonly out: string;
  readonly manifest: Manifest;
  readonly bytes: number;
  readonly warnings: readonly string[];
  /** What adapters did to each module. */
  readonly changes: readonly ModuleChange[];
  readonly notes: readonly string[];
  readonly nonFinite: readonly NonFinite[];
  /** Undefined when it was not asked for. */
  readonly verification?: VerifyReport;
  readonly samples: readonly SampleResult[];
}

/** The bundle's folder when none is named: the checkpoint's name, the last adapter's when there is one. */
export function defaultOut({
  checkpoint,
  adapters = [],
  backend,
  precision,
}: Pick<ConvertOptions, 'checkpoint' | 'adapters' | 'backend' | 'precision'>): string {
  const named = adapters.at(-1)?.dir ?? firstPath(checkpoint);
  const file = named.replace(/(\.npz):[\w/]+$/, '$1');
  return resolve(`${basename(resolve(file)).replace(/\.(npz|safetensors)$/, '')}-${backend}-${precision}`);
}

function firstPath(checkpoint: string | readonly string[]): string {
  return typeof checkpoint === 'string' ? checkpoint : checkpoint[0]!;
}

/**
 * Converts a checkpoint: read lazily, build, rewrite, write as a stream, verify in the real runtime, and only then put
 * in place.
 * @throws PgconvError: bad input, an output that cannot be written, ParityError (with `report`) when the bundle differs
 */
export async function convert(options: ConvertOptions, reporter: Reporter): Promise<ConvertResult> {
  const { backend: backendName, precision, force = false } = options;
  const out = options.out ?? defaultOut(options);
  await checkOutput(out, force);
  const {
    reference = 'huggingface',
    finalSoftcap = 'auto',
    slidingWindow = 'auto',
    adapters: adapterSources = [],
  } = options;
  const source = await openModel({
    checkpoint: options.checkpoint,
    adapters: adapterSources,
    reference,
    finalSoftcap,
    slidingWindow,
  });
  const stopHashing = new AbortController();
  let prepared: PreparedPrograms | undefined;
  try {
    const { checkpoint, model, warnings } = source;
    for (const warning of warnings) reporter.warn(warning);
    const backend = await backends[backendName]();
    const { algorithm = 'search', calibrate = '' } = options;
    const forBackend = chosenFor(backend, options, precision);
    const { mixed = usualMixed(backend, forBackend.target), perChannel = false } = options;
    checkClient(backendName, model.program.metadata);
    const choices = { strict: options.strict ?? false, allowOverflow: options.allowOverflow ?? false };
    let made: ReturnType<typeof checkpointTokenizer> | undefined;
    const tokenizer = () => (made ??= checkpointTokenizer(checkpoint, model.program.metadata, options.tokenizer));
    const samplesFile =
      options.samples ?? (await findSamples(resolve(options.adapters?.at(-1)?.dir ?? firstPath(options.checkpoint))));
    prepared = await preparePrograms(
      {
        ...options,
        ...forBackend,
        ...choices,
        model,
        backend,
        mode: reference,
        verify: options.verify !== false,
        tokenizer,
      },
      reporter,
    );
    const { bundle: program, reference: mustEqual, help, findings } = prepared;
    const artifact = backend.emit(program, { precision, ...forBackend });
    const { files, notes: fileNotes } = await bundleSideFiles(options, checkpoint, model, artifact, basename(out));
    const notes = [...prepared.notes, ...fileNotes];
    for (const note of notes) reporter.note(note);
    const artifactFiles = [...artifact.files, ...files];
    const signal = options.signal ? AbortSignal.any([options.signal, stopHashing.signal]) : stopHashing.signal;
    const hashes = hashSources(sourceFiles(source), { signal });
    hashes.catch(() => {});
    const writing = reporter.stage(`write ${basename(out)}`, {
      unit: 'bytes',
      total: artifactFiles.reduce((sum, file) => sum + file.byteLength, 0),
    });
    let written = 0;
    let verification: VerifyReport | undefined;
    let samples: readonly SampleResult[] = [];
    const published = await publishBundle({
      artifactFiles,
      outDir: out,
      force,
      ...choices,
      sourceOf: weightFinder(model.program),
      ...(options.signal && { signal: options.signal }),
      onProgress: (bytes) => {
        writing.advance(bytes - written);
        written = bytes;
      },
      manifest: async () => {
        writing.done();
        const files = await hashes;
        await source.checkUnchanged();
        return {
          tool: TOOL,
          backend: backendName,
          precision,
          options: {
            checkpoint: [options.checkpoint].flat(),
            adapters: adapterSources.map(({ dir, scale }) => ({ dir, scale })),
            reference,
            finalSoftcap,
            slidingWindow,
            mixed: isQuantized(precision) ? mixed : 'none',
            algorithm,
            perChannel,
            calibrate,
            ...forBackend,
            ...choices,
          },
          source: { format: checkpoint.format, files },
          program: model.program.metadata,
          inferences: [...model.inferences],
          notes: [...notes],
        };
      },
      beforePublish: async (dir, manifest) => {
        const verify = options.verify !== false;
        enforceFindings(findings, choices);
        if (!verify && options.samples === undefined) return;
        const bundle = await openStaged(dir, manifest).catch((error: unknown) => Promise.reject(withoutRuntime(error)));
        try {
          if (verify)
            verification = await runVerification(
              bundle.runner,
              referenceFor(precision, {
                original: model.program,
                reference: mustEqual,
                help,
                cases: isQuantized(precision)
                  ? await realCases(samplesFile, await tokenizer(), model.program.metadata, reference)
                  : undefined,
              }),
              { metadata: bundle.metadata, precision, accuracyLevel: forBackend.accuracyLevel, signal: options.signal },
              reporter,
            );
          if (verification?.passed === false) throw new VerificationFailed(verification);
          samples = await answerSamples(options, samplesFile, bundle, dir, reporter);
        } finally {
          await bundle.dispose();
        }
      },
    });
    const { dir, manifest, nonFinite } = published;
    for (const found of nonFinite) reporter.warn(describeNonFinite(found));
    return {
      out: dir,
      manifest,
      bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0),
      warnings,
      changes: model.changes,
      notes,
      nonFinite,
      ...(verification && { verification }),
      samples,
    };
  } finally {
    stopHashing.abort();
    await prepared?.dispose();
    await source.close();
  }
}

/** A runtime that is not here is no reason not to convert, if one knows that nothing was verified. */
function withoutRuntime(error: unknown): unknown {
  if (!(error instanceof BackendError && error.code === 'runtime-missing')) return error;
  const { hint, ...place } = error.place;
  return new BackendError(
    error.code,
    error.message,
    {
      ...place,
      hint: `${hint === undefined ? '' : `${hint}; or `}convert with --no-verify, and run pgconv verify where there is one`,
    },
    { cause: error },
  );
}

async function bundleSideFiles(
  options: ConvertOptions,
  checkpoint: Checkpoint,
  model: Model,
  artifact: Artifact,
  name: string,
): Promise<{ files: ArtifactFile[]; notes: readonly string[] }> {
  const dtypes = [...new Set([...checkpoint.tensors.values()].map((data) => data.dtype))];
  const { files, notes } = sideFiles(options.backend, {
    metadata: model.program.metadata,
    config: checkpoint.config,
    sidecars: await readSidecars(checkpoint.sidecars),
    tokenizer: options.tokenizer === undefined ? undefined : await readSidecar(options.tokenizer),
    reference: options.reference ?? 'huggingface',
    emitted: artifact.files.map((file) => file.path),
    name,
    tool: TOOL,
    source: { format: checkpoint.format, files: checkpoint.files.map((file) => file.name), dtypes },
    precision: options.precision,
    verifyCommand: `${TOOL.name} verify ${name} --against <checkpoint>`,
  });
  return { files: files.map((file) => textFile(file.name, file.text)), notes };
}

function textFile(path: string, text: string): ArtifactFile {
  const bytes = new TextEncoder().encode(text);
  return {
    path,
    byteLength: bytes.byteLength,
    async *chunks() {
      yield { bytes: bytes.slice() };
    },
  };
}

/**
 * The checkpoint's values behind a tensor of the bundle: backends name what they transpose or widen, shards end in
 * their number, and matrices that lie together are joined by +.
 */
function weightFinder(program: Program): (tensor: string) => TensorData | undefined {
  const weights = new Map(
    program.graphs.flatMap((graph) =>
      graph.constants.flatMap((c) => (c.kind === 'weight' ? [[c.value.name, c.data] as const] : [])),
    ),
  );
  const find = (tensor: string) => {
    const name = tensor
      .replace(/\.transposed$/, '')
      .replace(/\.widened(?:_\d+)?(?=(?:\.\d+)?$)/, '')
      .replace(/\.(?:codes|scales|zeros|f16|bf16)(?:_\d+)?(?:\.\d+)?$/, '');
    return weights.get(name) ?? weights.get(name.replace(/\.\d+$/, ''));
  };
  return (tensor) => {
    const found = tensor.split('+').map(find);
    return found.length > 1 && found.every((data) => data !== undefined) ? concatRows(found) : found[0];
  };
}

async function answerSamples(
  options: ConvertOptions,
  file: string | undefined,
  bundle: BundleModel,
  dir: string,
  reporter: Reporter,
): Promise<readonly SampleResult[]> {
  if (file === undefined) return [];
  const tokenizer = await bundleTokenizer(dir);
  if (!tokenizer) {
    reporter.warn(`The samples in ${file} were not asked: the bundle has no tokenizer.`);
    return [];
  }
  const results: SampleResult[] = [];
  const samples = await readSamples(file);
  const asking = reporter.stage('ask samples', { unit: 'steps', total: samples.length });
  for (const sample of samples) {
    const { text } = await answer(bundle, tokenizer, {
      image: await decodeImage(sample.image),
      prompt: sample.prompt,
      mode: options.reference ?? 'huggingface',
      ...(options.signal && { signal: options.signal }),
    });
    results.push({ ...sample, answer: text, same: text === sample.reference });
    asking.advance(1);
  }
  asking.done();
  return results;
}

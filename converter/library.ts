import { convert as convertWith, type ConvertResult } from './compile/convert.ts';
import type { ConvertOptions } from './compile/convert_options.ts';
import { verifyBundle, type VerifyBundleOptions } from './compile/verify_bundle.ts';
import { inspect as inspectInto } from './cli/inspection.ts';
import { textOf, type Io } from './cli/io.ts';
import type { AdapterSource } from './models/open_model.ts';
import type { ModelOptions } from './models/family.ts';
import { silentReporter, type Reporter } from './terminal/reporter.ts';
import type { VerifyReport } from '../verify/verify.ts';

/* What the commands do, for programs: nothing is printed, and what fails is thrown. */

/** Who hears of the work; default nobody. */
export interface Heard {
  /** Hears of stages, notes and warnings. */
  readonly reporter?: Reporter;
}

/** `pgconv convert`. Options are those of the command, by their long names. */
export interface ConvertRequest extends ConvertOptions, Heard {}

/** `pgconv verify`. */
export interface VerifyRequest extends VerifyBundleOptions, Heard {}

/** `pgconv inspect`. */
export interface InspectRequest extends Omit<ModelOptions, 'adapters' | 'tokens' | 'maskDecoder' | 'compare'> {
  /** A checkpoint or its Hub id, a bundle, an export by another program or an .onnx file. */
  readonly path: string;
  /** Adapters to merge into a checkpoint. */
  readonly adapters?: readonly AdapterSource[];
  /** The file of a mask decoder beside a checkpoint. */
  readonly maskDecoder?: string;
  /** Stops it: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What `pgconv inspect --json` prints: docs/schemas/inspect.schema.json has its fields. */
export interface Inspection {
  /** Names the schema. */
  readonly schema: 'pgconv-inspect';
  /** Raised when a field goes away or changes its meaning. */
  readonly schemaVersion: number;
  /** `checkpoint`, `bundle`, or what a backend calls its files. */
  readonly kind: string;
  readonly [field: string]: unknown;
}

/**
 * Converts a checkpoint to a bundle, and puts it in place once it computes in its runtime what the original computes.
 * @throws PgconvError: a `code`, a place, a hint and the exit code that the command would have
 */
export function convert({ reporter = silentReporter, ...options }: ConvertRequest): Promise<ConvertResult> {
  return convertWith(options, reporter);
}

/**
 * Checks every byte of a bundle, runs it and compares it with the original. The report may say that it failed
 * (`passed`). @throws PgconvError for a damaged bundle or an original that is not there
 */
export function verify({ reporter = silentReporter, ...options }: VerifyRequest): Promise<VerifyReport> {
  return verifyBundle(options, reporter);
}

/** What lies at a path, without running anything. @throws PgconvError for what is none of what it knows */
export async function inspect({ path, adapters = [], signal, ...model }: InspectRequest): Promise<Inspection> {
  let text = '';
  const io: Io = {
    out: (said) => (text = textOf(said)),
    err() {},
    reporter: () => silentReporter,
    signal: signal ?? new AbortController().signal,
  };
  await inspectInto(io, path, {
    reference: 'huggingface',
    finalSoftcap: 'auto',
    slidingWindow: 'auto',
    ...model,
    adapter: adapters.map(({ dir }) => dir),
    adapterScale: adapters.map(({ scale }) => scale),
    json: true,
  });
  return JSON.parse(text) as Inspection;
}

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { sizeProblem } from '../../backends/client/model_sizes.ts';
import { NotRegular, readRegular } from '../../backends/regular_file.js';
import { BadInputError } from '../errors.ts';
import { REFERENCES, SWITCHES } from '../models/family.ts';
import { FORMAT_NAMES } from '../../ir/formats/index.ts';
import { LEFT_OUT, type Reason } from '../models/ledger/ledger.ts';
import { unsafePathReason } from '../../backends/client/integrity/bundle_path.ts';
import { insideBundle } from './inside_bundle.ts';

export const MANIFEST_NAME = 'manifest.json';
/** Larger than any manifest that this tool writes. */
export const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

const bytes = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'not a sha256 in lower-case hexadecimal digits');
const fileEntry = z.strictObject({ path: z.string(), bytes, sha256 });

const size = z.int().nonnegative();
const programMetadata = z.strictObject({
  family: z.string(),
  variant: z.string(),
  imageSize: size,
  imageTokens: size,
  imageTokenId: size,
  vocabSize: size,
  layers: size,
  kvHeads: size,
  headDim: size,
  hiddenSize: size,
  bosTokenId: size,
  eosTokenId: size,
  padTokenId: size,
  maxPositions: size,
  retrievalWidth: size.positive().optional(),
  maskSize: size.positive().optional(),
  stopTokenIds: z.array(size).min(1).readonly().optional(),
});

const ledgerEntry = z.strictObject({
  file: z.string(),
  tensor: z.string().optional(),
  rows: z.tuple([size, size]).optional(),
  used: z.array(z.string()).optional(),
  equal: z.strictObject({ to: z.string(), compared: z.boolean() }).optional(),
  leftOut: z.enum(Object.keys(LEFT_OUT) as [Reason, ...Reason[]]).optional(),
});

const chosenByData = z.strictObject({
  shown: sha256,
  pictures: z.strictObject({ chose: size, judged: size, leftOut: size }),
  matrices: size,
  weighted: z.array(z.string()).readonly(),
  gptq: z.array(z.string()).readonly(),
});

const link = z.strictObject({
  verdict: z.enum(['held', 'failed', 'not tried']),
  reason: z.string().optional(),
  tensors: size.optional(),
  elements: size.optional(),
  passed: size.optional(),
  checks: size.optional(),
});

/**
 * What a bundle says about itself. There is no time, machine or absolute path in it: the same input gives the same
 * bytes.
 */
const manifestFields = z.strictObject({
  tool: z.strictObject({ name: z.literal('pgconv'), version: z.string() }),
  backend: z.string(),
  precision: z.string(),
  /** What was asked for beside the precision; paths as they were given. */
  options: z.strictObject({
    checkpoint: z.array(z.string()).min(1),
    adapters: z.array(z.strictObject({ dir: z.string(), scale: z.number() })),
    reference: z.enum(REFERENCES),
    finalSoftcap: z.enum(SWITCHES),
    slidingWindow: z.enum(SWITCHES),
    mixed: z.string(),
    /** Absent where none was named; before 'search' stood for that as well. */
    algorithm: z.string().optional(),
    /** Absent where weights are floats, and in bundles of before, whose columns are the checkpoint's. */
    balance: z.enum(['auto', 'none']).optional(),
    perChannel: z.boolean(),
    /** What the bits of matrices were to take, in bytes, or to leave, in nats a token. */
    budget: z.number().positive().optional(),
    targetKld: z.number().positive().optional(),
    /** The set that was asked for; empty when none was, and the model's size decided. */
    calibrate: z.string(),
    /** What only some backends let one choose. */
    target: z.string().optional(),
    quantizedOps: z.enum(['nbits', 'qdq']).optional(),
    accuracyLevel: z.union([z.literal(0), z.literal(4)]).optional(),
    /** Tensors that were left out by name. */
    leaveOut: z.array(z.string()).optional(),
    /** The file that was given in place of the checkpoint's tokenizer. */
    tokenizer: z.string().optional(),
    /** The file of the graph that makes masks of codes. */
    maskDecoder: z.string().min(1).optional(),
    layersPerGraph: z.int().positive().optional(),
    strict: z.boolean(),
    allowOverflow: z.boolean(),
  }),
  /** The checkpoint: names relative to its folder; those of the n-th adapter begin with `adapter-n/`. */
  source: z.strictObject({ format: z.string(), files: z.array(fileEntry) }),
  program: programMetadata,
  /** Matrices of a quantized bundle that are not in the precision's own codes, and how they are stored. */
  storage: z.record(z.string(), z.enum([...FORMAT_NAMES, 'fp16', 'fp32'])).optional(),
  /** What became of every tensor and file of the checkpoint and its adapters (docs/ledger.md). */
  ledger: z.array(ledgerEntry),
  /** Sizes that were inferred, and from what. */
  inferences: z.array(
    z.strictObject({ field: z.string(), value: z.union([z.string(), z.number(), z.boolean()]), from: z.string() }),
  ),
  /** What a careful user should know: one sentence each. */
  notes: z.array(z.string()),
  /** Absent where data was not asked to choose codes, and in bundles that know of no such record. */
  chosenByData: chosenByData.optional(),
  /** What it was compared with when it was made, link by link; absent in bundles that know of none. */
  verification: z.strictObject({ weights: link, program: link, original: link }).optional(),
});

/** docs/bundle-format.md says what each field is. */
export const manifestSchema = z.strictObject({
  format: z.literal('pgconv-bundle'),
  formatVersion: z.literal(1),
  ...manifestFields.shape,
  /** Every other file of the bundle, by path. */
  files: z.array(fileEntry),
  /** Of this manifest's text without this field. */
  sha256,
});

export type ManifestFields = z.infer<typeof manifestFields>;
export type Manifest = z.infer<typeof manifestSchema>;
export type FileEntry = z.infer<typeof fileEntry>;

/** The manifest of a bundle, complete with its own sha256; files are put in order of their path. */
export function makeManifest(fields: ManifestFields, files: readonly FileEntry[]): Manifest {
  const body = {
    format: 'pgconv-bundle' as const,
    formatVersion: 1 as const,
    ...manifestFields.parse(fields),
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map((file) => fileEntry.parse(file)),
  };
  return { ...body, sha256: hashOf(body) };
}

/** The one text form of a manifest: reading compares with it byte for byte, so that no flipped bit passes. */
export function printManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * Reads and checks `manifest.json` of a bundle; the other files are not touched.
 * @throws BadInputError `not_a_bundle`, `manifest_invalid`, `manifest_damaged`, `unsafe_path`
 */
export async function readManifest(dir: string): Promise<Manifest> {
  const file = await insideBundle(dir, MANIFEST_NAME);
  return parseManifest(await readManifestBytes(file), file);
}

/** Checks the bytes of a manifest; `file` is for messages. @throws BadInputError as `readManifest` */
export function parseManifest(bytes: Uint8Array, file: string): Manifest {
  const text = decodeText(bytes, file);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new BadInputError(
      'manifest_invalid',
      `the manifest is not JSON: ${(error as Error).message}`,
      { file, hint: RECONVERT },
      { cause: error },
    );
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.length ? ` at ${issue.path.join('.')}` : '';
    throw new BadInputError(
      'manifest_invalid',
      `the manifest does not fit its schema${where}: ${issue?.message ?? 'unknown problem'}`,
      { file, hint: RECONVERT },
    );
  }
  const manifest = parsed.data;
  const { sha256: stated, ...body } = manifest;
  if (printManifest(manifest) !== text || hashOf(body) !== stated)
    throw new BadInputError('manifest_damaged', 'the manifest is not the text that was written: its sha256 differs', {
      file,
      hint: RECONVERT,
    });
  const problem = sizeProblem(manifest.program);
  if (problem !== undefined)
    throw new BadInputError('manifest_invalid', `program: ${problem}`, {
      file,
      hint: 'do not use this bundle: it was not written by pgconv',
    });
  for (const { path } of manifest.files) {
    const reason = unsafePathReason(path);
    if (reason)
      throw new BadInputError('unsafe_path', `the manifest lists "${path}": ${reason}`, {
        file,
        hint: 'do not use this bundle: it was not written by pgconv',
      });
  }
  return manifest;
}

const RECONVERT = 'copy the bundle again, or convert the checkpoint again';

async function readManifestBytes(file: string): Promise<Uint8Array> {
  return readRegular(file, MAX_MANIFEST_BYTES).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof NotRegular || code === 'ENOENT' || code === 'ENOTDIR')
      throw new BadInputError('not_a_bundle', 'there is no manifest.json: this is not a bundle', {
        file,
        hint: 'give the folder that `pgconv convert` wrote',
      });
    if (error instanceof RangeError)
      throw new BadInputError('manifest_invalid', `the manifest is ${message}`, { file, hint: RECONVERT });
    throw new BadInputError(
      'read_failed',
      `cannot read the manifest: ${message}`,
      { file, hint: 'check that the file can be read' },
      { cause: error },
    );
  });
}

function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new BadInputError(
      'manifest_invalid',
      'the manifest is not UTF-8 text',
      { file, hint: RECONVERT },
      { cause: error },
    );
  }
}

function hashOf(body: Omit<Manifest, 'sha256'>): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

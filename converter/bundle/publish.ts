import { createHash } from 'node:crypto';
import { dirname, join, relative, sep } from 'node:path';
import type { ArtifactFile, ChunkRequest, ChunkTensor } from '../../backends/backend.ts';
import { orAbort } from '../../backends/client/aborting.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { createFile, makeFolders, removePath, replaceFile, syncFolder } from '../disk.js';
import { BadInputError, OutputError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import type { Claim } from './claim.ts';
import { unsafePathReason } from '../../backends/client/integrity/bundle_path.ts';
import { FileWriter } from './file_writer.ts';
import { abortError } from './hash_files.ts';
import type { Undertaking } from './journal.ts';
import {
  makeManifest,
  MANIFEST_NAME,
  printManifest,
  type FileEntry,
  type Manifest,
  type ManifestFields,
} from './manifest.ts';
import { enforceNonFinite, withOverflow, type NonFinite, type NonFinitePolicy } from './nonfinite.ts';
import { NotCompared } from './not_compared.ts';
import { checkSpace, keepUnverified, putInPlace, type KeptFiles } from './output_folder.ts';
import { bytesIn, flushedBytes, openStaging, undertakingOf, type Staging } from './staging.ts';

export interface PublishOptions extends Partial<NonFinitePolicy> {
  readonly artifactFiles: Iterable<ArtifactFile>;
  /** Where to, for this run alone. */
  readonly claim: Claim;
  /**
   * What is written, so that a run after this one can go on where it was killed, and this one where another was.
   * Default: neither.
   */
  readonly resume?: Pick<Undertaking, 'command' | 'sources'>;
  /** Leaves alone what an earlier run has written: this one begins anew, and can be gone on with. */
  readonly anew?: boolean;
  /**
   * Asked for when every file is written: hashes of the sources may end by then, and it is the place to check that they
   * did not change.
   */
  readonly manifest: (written: WrittenBundle) => ManifestFields | Promise<ManifestFields>;
  /**
   * Looks at the finished staging folder before it is moved into place; what it throws stops the run. A bundle of which
   * it could not tell anything (NotCompared) is kept as `<out>.unverified`.
   */
  readonly beforePublish?: (stagingDir: string, manifest: Manifest) => Promise<Amended | undefined>;
  readonly on?: PublishListener;
  /** See FileWriter: how much a kill may cost. */
  readonly flushBytes?: number;
  readonly signal?: AbortSignal;
}

/** What a user should hear of. */
export interface PublishListener {
  /** Where a bundle is kept that `beforePublish` could not compare. */
  uncompared?(dir: string): void;
  /** An earlier run has written so many bytes, which are not written again. */
  resumed?(bytes: number): void;
  /** An earlier run has left so many bytes that are of no use now, and why; they are removed. */
  leftover?(why: string, bytes: number): void;
  /** So many bytes of a file that an earlier run has written are not what it wrote any more: they are written again. */
  damaged?(path: string, bytes: number): void;
  /** This run ends, and so many bytes are kept for one that goes on. */
  unfinished?(dir: string, bytes: number): void;
  progress?(writtenBytes: number, totalBytes: number): void;
  /** The new bundle is in place, and so many bytes of the one before are compared before they are removed. */
  replacing?(totalBytes: number): void;
  /** Bytes compared since the last call. */
  compared?(bytes: number): void;
}

/** What is said otherwise of a bundle once it was looked at: files that take the place of others, and fields. */
export interface Amended {
  readonly files: readonly ArtifactFile[];
  readonly fields: Partial<ManifestFields>;
}

export interface WrittenBundle {
  readonly files: readonly FileEntry[];
  /** Tensors with infinities or NaN that the policy let pass. */
  readonly nonFinite: readonly NonFinite[];
}

export interface PublishedBundle extends WrittenBundle {
  /** Absolute. */
  readonly dir: string;
  readonly manifest: Manifest;
  /** Files in the place of the bundle that it replaced and that were not its own. */
  readonly kept: KeptFiles | undefined;
}

/**
 * Writes a bundle so that its path holds nothing, the complete old bundle, or the complete new one, whenever the run
 * ends. Files are staged in a folder beside it, hashed on the way, flushed, described by a manifest that comes last,
 * and renamed. What a failure of the disk, an abort or a kill leaves of a run that can be gone on with is kept; any
 * other failure removes it. A run that has lost its claim stops, and removes nothing.
 * @throws OutputError `disk_full`, `not_writable`, `locked`, …; BadInputError `weight_overflow`, `weight_not_finite`;
 * InterruptedError; what the chunks throw
 */
export async function publishBundle(options: PublishOptions): Promise<PublishedBundle> {
  const { claim, signal, on = {} } = options;
  const { folder: out, lock } = claim;
  const files = checkedFiles(options.artifactFiles);
  const system = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => Promise.reject(outputError(error, out.path)));
  let staging: Staging | undefined;
  try {
    await lock.check();
    staging = await system(
      openStaging(claim, options.resume && undertakingOf(options.resume, files), {
        anew: options.anew ?? false,
        onLeftover: (why, bytes) => on.leftover?.(why, bytes),
      }),
    );
    const { bundle } = staging;
    const has = bytesIn(staging.flushed);
    if (has > 0) on.resumed?.(has);
    await system(checkSpace(out.parent, estimateBytes(files) - has));
    const written = await writeFiles(files, staging, options);
    signal?.throwIfAborted();
    const fields = await orAbort(Promise.resolve(options.manifest(written)), signal);
    const first = makeManifest(fields, written.files);
    await lock.check();
    await system(writeManifest(bundle, first, files));
    const amended = await orAbort(Promise.resolve(options.beforePublish?.(bundle, first)), signal);
    signal?.throwIfAborted();
    await lock.check();
    const manifest = amended ? await system(amend(bundle, fields, written.files, amended)) : first;
    const kept = await system(
      putInPlace(bundle, out, () => lock.check(), {
        onTotal: (bytes) => on.replacing?.(bytes),
        onRead: (bytes) => on.compared?.(bytes),
      }),
    );
    await removePath(staging.dir).catch(() => {});
    return { dir: out.path, manifest, kept, ...written, files: manifest.files };
  } catch (error) {
    const failure = await cleanUp(options, staging, error);
    throw signal?.aborted ? abortError(signal) : failure;
  }
}

/** Removes or keeps what a run that failed has staged. @returns what is to be told */
async function cleanUp(
  { claim: { folder, lock }, signal, on = {} }: PublishOptions,
  staging: Staging | undefined,
  error: unknown,
): Promise<unknown> {
  // what a run meets that has lost its claim, such as a folder that is gone, is of that
  const lost = await lock.check().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (lost !== undefined) return lost;
  if (staging) {
    if (error instanceof NotCompared) on.uncompared?.(await keepUnverified(staging.bundle, folder));
    const bytes = signal?.aborted || isOfPlace(error) ? await flushedBytes(staging.dir) : 0;
    if (bytes > 0 && !(error instanceof NotCompared)) on.unfinished?.(staging.dir, bytes);
    else await removePath(staging.dir).catch(() => {});
  }
  return error instanceof NotCompared ? error.cause : error;
}

/** A failure of a disk, which another try may not have; all others come again. */
function isOfPlace(error: unknown): boolean {
  return (
    error instanceof OutputError ||
    (error instanceof BadInputError && ['cannot_read', 'read_failed'].includes(error.code))
  );
}

/**
 * Paths are safe, unlike even where case does not count, and the manifest's name is free. A mistake here is a
 * backend's.
 */
function checkedFiles(artifactFiles: Iterable<ArtifactFile>): readonly ArtifactFile[] {
  const files = [...artifactFiles];
  const seen = new Set([MANIFEST_NAME]);
  for (const { path, byteLength } of files) {
    const reason = unsafePathReason(path) ?? (seen.has(path.toLowerCase()) ? 'another file has this name' : undefined);
    if (reason) throw new Error(`a bundle cannot have a file "${path}": ${reason}`);
    if (!Number.isSafeInteger(byteLength) || byteLength < 0)
      throw new Error(`${path} says that it has ${byteLength} bytes`);
    seen.add(path.toLowerCase());
  }
  return files;
}

/** Sizes are known, so this is exact but for the manifest: whole blocks of 4 KiB, and room for its lines. */
export function estimateBytes(files: readonly ArtifactFile[]): number {
  const blocks = (bytes: number) => Math.ceil(bytes / 4096) * 4096;
  return files.reduce((sum, { byteLength }) => sum + blocks(byteLength), blocks(4096 + 200 * files.length));
}

async function writeFiles(
  files: readonly ArtifactFile[],
  { bundle, journal, flushed }: Staging,
  options: PublishOptions,
): Promise<WrittenBundle> {
  const { on = {}, signal, flushBytes, allowOverflow = false, strict = false } = options;
  const totalBytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const found = new Map<string, Omit<NonFinite, 'overflowed'>>();
  /** What tensors were made of, by file and name. */
  const sources = new Map<string, TensorData>();
  const keyOf = (file: string, tensor: string) => `${file}\n${tensor}`;
  let writtenBytes = 0;
  let rereadBytes = 0;
  const onBytes = (bytes: number) => on.progress?.((writtenBytes += bytes), totalBytes);
  const writer = new FileWriter({
    ...(journal !== undefined && { journal }),
    ...(flushBytes !== undefined && { flushBytes }),
    onReread(bytes) {
      rereadBytes += bytes;
      onBytes(bytes);
    },
    onWritten: onBytes,
    onNonFinite: ({ path, tensor, infinite, nan }) => {
      const file = relative(bundle, path).split(sep).join('/');
      const key = keyOf(file, tensor.name);
      const before = found.get(key);
      found.set(key, {
        file,
        tensor: tensor.name,
        dtype: tensor.dtype,
        infinite: infinite + (before?.infinite ?? 0),
        nan: nan + (before?.nan ?? 0),
      });
    },
  });
  const written = new Map<string, Promise<FileEntry>>();
  const sha256Of = async (path: string): Promise<string> => {
    const entry = written.get(path);
    if (!entry) throw new Error(`${path} has not been written: nothing can name its hash`);
    return (await entry).sha256;
  };
  try {
    for (const file of files) {
      const path = join(bundle, file.path);
      await makeFolders(dirname(path)).catch((error: unknown) => Promise.reject(outputError(error, path)));
      const places = flushed.get(file.path) ?? [];
      rereadBytes = 0;
      const from = places.length === 0 ? 0 : await orAbort(writer.resume(path, file.path, places), signal);
      if (places.length === 0) writer.open(path, file.path);
      else writtenBytes -= rereadBytes - from;
      const lost = (places.at(-1)?.bytes ?? 0) - from;
      if (lost > 0) on.damaged?.(file.path, lost);
      await writeChunks(writer, file, { from, sha256Of }, signal, ({ name, source }) =>
        sources.set(keyOf(file.path, name), source),
      );
      const entry = writer.close(path).then((closed) => ({ path: file.path, ...closed }));
      // it may fail while a later file is written, whose writing then tells
      entry.catch(() => {});
      written.set(file.path, entry);
    }
    const entries = await orAbort(Promise.all(written.values()), signal);
    const nonFinite: NonFinite[] = [];
    for (const [key, counts] of found) nonFinite.push(await withOverflow(counts, sources.get(key)!));
    enforceNonFinite(nonFinite, { allowOverflow, strict });
    return { files: entries, nonFinite };
  } finally {
    await writer.dispose();
  }
}

async function writeChunks(
  writer: FileWriter,
  file: ArtifactFile,
  request: ChunkRequest & { readonly from: number },
  signal: AbortSignal | undefined,
  onTensor: (tensor: ChunkTensor) => void,
): Promise<void> {
  let bytes = request.from;
  for await (const chunk of file.chunks(request)) {
    signal?.throwIfAborted();
    bytes += chunk.bytes.byteLength;
    if (bytes > file.byteLength) break;
    if (chunk.tensor) onTensor(chunk.tensor);
    await writer.write(chunk);
  }
  if (bytes !== file.byteLength)
    throw new Error(
      `${file.path} promised ${file.byteLength} bytes and made ${bytes > file.byteLength ? 'more' : bytes}`,
    );
}

/** Puts other texts in the place of staged ones, and a manifest that knows them in the place of the first. */
async function amend(
  staging: string,
  fields: ManifestFields,
  written: readonly FileEntry[],
  { files, fields: said }: Amended,
): Promise<Manifest> {
  const entries = new Map(written.map((entry) => [entry.path, entry]));
  for (const file of files) {
    if (!entries.has(file.path)) throw new Error(`${file.path} was not staged: nothing can take its place`);
    const chunks: Uint8Array[] = [];
    for await (const { bytes } of file.chunks()) chunks.push(bytes);
    const bytes = Buffer.concat(chunks);
    await replaceFile(join(staging, file.path), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    entries.set(file.path, { path: file.path, bytes: bytes.byteLength, sha256 });
  }
  const manifest = makeManifest({ ...fields, ...said }, [...entries.values()]);
  await replaceFile(join(staging, MANIFEST_NAME), printManifest(manifest));
  return manifest;
}

async function writeManifest(staging: string, manifest: Manifest, files: readonly ArtifactFile[]): Promise<void> {
  await createFile(join(staging, MANIFEST_NAME), printManifest(manifest));
  const folders = new Set(
    files.flatMap(({ path }) =>
      path
        .split('/')
        .slice(0, -1)
        .map((_, depth, parts) => join(staging, ...parts.slice(0, depth + 1))),
    ),
  );
  for (const folder of [...folders, staging]) await syncFolder(folder);
}

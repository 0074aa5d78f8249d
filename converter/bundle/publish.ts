import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { ArtifactFile, ChunkTensor } from '../../backends/backend.ts';
import { orAbort } from '../../backends/client/aborting.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { unsafePathReason } from './bundle_path.ts';
import { FileWriter } from './file_writer.ts';
import { abortError } from './hash_files.ts';
import { acquireLock } from './lock.ts';
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
import {
  checkOutput,
  checkReplaceable,
  checkSpace,
  keepUnverified,
  putInPlace,
  recover,
  syncFolder,
} from './output_folder.ts';
import { outputError } from '../output_error.ts';

export interface PublishOptions extends Partial<NonFinitePolicy> {
  readonly artifactFiles: Iterable<ArtifactFile>;
  readonly outDir: string;
  /** Replace an existing bundle. */
  readonly force?: boolean;
  /**
   * Asked for when every file is written: hashes of the sources may end by then, and it is the place to check that they
   * did not change.
   */
  readonly manifest: (written: WrittenBundle) => ManifestFields | Promise<ManifestFields>;
  /**
   * Looks at the finished staging folder before it is moved into place; what it throws stops the run. A bundle of which
   * it could not tell anything (NotCompared) is kept as `<out>.unverified`.
   */
  readonly beforePublish?: (stagingDir: string, manifest: Manifest) => Promise<void>;
  /** Told where a bundle is kept that `beforePublish` could not compare. */
  readonly onKept?: (dir: string) => void;
  readonly onProgress?: (writtenBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
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
}

/**
 * Writes a bundle so that its path holds nothing, the complete old bundle, or the complete new one, whenever the run
 * ends. Files are staged in a folder beside it, hashed on the way, flushed, described by a manifest that comes last,
 * and renamed. A failure or an abort removes the staging folder.
 * @throws OutputError `exists`, `not_a_bundle`, `locked`, `disk_full`, `not_writable`, …; BadInputError
 * `weight_overflow`, `weight_not_finite`; InterruptedError; what the chunks throw
 */
export async function publishBundle(options: PublishOptions): Promise<PublishedBundle> {
  const { outDir, force = false, signal } = options;
  const files = checkedFiles(options.artifactFiles);
  const out = await checkOutput(outDir, force);
  const lock = await acquireLock(out.lock).catch((error: unknown) => {
    throw outputError(error, out.lock);
  });
  const staging = out.staging + randomUUID();
  const system = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => Promise.reject(outputError(error, out.path)));
  try {
    await system(recover(out));
    // Another run may have ended between the first look and the lock.
    await checkReplaceable(out, force);
    await checkSpace(out.parent, estimateBytes(files));
    await system(mkdir(staging));
    const written = await writeFiles(files, staging, options);
    signal?.throwIfAborted();
    const manifest = makeManifest(await orAbort(Promise.resolve(options.manifest(written)), signal), written.files);
    await system(writeManifest(staging, manifest, files));
    await orAbort(Promise.resolve(options.beforePublish?.(staging, manifest)), signal);
    signal?.throwIfAborted();
    await lock.check();
    await system(putInPlace(staging, out));
    return { dir: out.path, manifest, ...written };
  } catch (error) {
    if (error instanceof NotCompared) {
      options.onKept?.(await keepUnverified(staging, out));
      throw signal?.aborted ? abortError(signal) : error.cause;
    }
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
    await lock.release().catch(() => {});
  }
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
  staging: string,
  options: PublishOptions,
): Promise<WrittenBundle> {
  const { onProgress, signal, allowOverflow = false, strict = false } = options;
  const totalBytes = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const found = new Map<string, Omit<NonFinite, 'overflowed'>>();
  /** What tensors were made of, by file and name. */
  const sources = new Map<string, TensorData>();
  const keyOf = (file: string, tensor: string) => `${file}\n${tensor}`;
  let writtenBytes = 0;
  const writer = new FileWriter({
    onWritten: (bytes) => onProgress?.((writtenBytes += bytes), totalBytes),
    onNonFinite: ({ path, tensor, infinite, nan }) => {
      const file = relative(staging, path).split(sep).join('/');
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
  try {
    const closing: Promise<FileEntry>[] = [];
    for (const file of files) {
      const path = join(staging, file.path);
      await mkdir(dirname(path), { recursive: true }).catch((error: unknown) =>
        Promise.reject(outputError(error, path)),
      );
      writer.open(path);
      await writeChunks(writer, file, signal, ({ name, source }) => sources.set(keyOf(file.path, name), source));
      closing.push(writer.close(path).then((entry) => ({ path: file.path, ...entry })));
    }
    const entries = await orAbort(Promise.all(closing), signal);
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
  signal: AbortSignal | undefined,
  onTensor: (tensor: ChunkTensor) => void,
): Promise<void> {
  let bytes = 0;
  for await (const chunk of file.chunks()) {
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

async function writeManifest(staging: string, manifest: Manifest, files: readonly ArtifactFile[]): Promise<void> {
  const handle = await open(join(staging, MANIFEST_NAME), 'wx');
  try {
    await handle.writeFile(printManifest(manifest));
    await handle.sync();
  } finally {
    await handle.close();
  }
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

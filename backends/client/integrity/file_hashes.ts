import { RuntimeError } from '../errors.ts';
import type { BundleSource } from '../sources/source.ts';
import { sha256Of } from './hasher.ts';
import { unsafePathReason } from './bundle_path.ts';

/** What says of a bundle which files it has. */
export const HASHES_PATH = 'manifest.json';

/** A file as manifest.json has it. */
export interface FileHash {
  /** Relative to the bundle, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** In hexadecimal digits. */
  readonly sha256: string;
}

/** What the files of a bundle should be. */
export interface FileHashes {
  /** manifest.json itself, as it was read. */
  readonly manifest: Uint8Array<ArrayBuffer>;
  /** Every other file, by its path. */
  readonly files: ReadonlyMap<string, FileHash>;
}

const VERSION = 1;
const AGAIN = 'copy the whole bundle again, or convert again';

/**
 * manifest.json of a bundle, when it is the text that was written: it has the hash of itself, and one form. A browser
 * asks the server for it, not its cache, which may have that of another bundle at the same address.
 * @throws RuntimeError `not_found`, `damaged`, `newer_version`, `network`; the signal's reason
 */
export async function readFileHashes(
  source: Pick<BundleSource, 'name' | 'read'>,
  signal?: AbortSignal,
): Promise<FileHashes> {
  signal?.throwIfAborted();
  const manifest = await source.read(HASHES_PATH, signal, true).catch((cause: unknown) => {
    if (!(cause instanceof RuntimeError) || cause.code !== 'not_found') throw cause;
    throw new RuntimeError(
      'not_found',
      cause.problem,
      'check the address, and that manifest.json was copied with the bundle; with integrity: false nothing is checked',
      { cause },
    );
  });
  return { manifest, files: await parsed(manifest, `${source.name}: ${HASHES_PATH}`) };
}

async function parsed(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<ReadonlyMap<string, FileHash>> {
  const damaged = (what: string, cause?: unknown) => new RuntimeError('damaged', `${name} ${what}`, AGAIN, { cause });
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged('is no JSON', cause);
  }
  const { sha256, ...body } = (json ?? {}) as Readonly<Record<string, unknown>>;
  const { format, formatVersion, files } = body;
  if (format !== 'pgconv-bundle') throw damaged('is not that of a bundle');
  if (typeof formatVersion === 'number' && formatVersion > VERSION)
    throw new RuntimeError(
      'newer_version',
      `${name} has version ${formatVersion}, and this reads up to ${VERSION}`,
      'use a newer pgconv',
    );
  const same =
    `${JSON.stringify(json, null, 2)}\n` === text &&
    (await sha256Of(new TextEncoder().encode(JSON.stringify(body)))) === sha256;
  if (!same || formatVersion !== VERSION || !isFileList(files)) throw damaged('is not the text that was written');
  for (const { path } of files) {
    const reason = unsafePathReason(path);
    if (reason !== undefined)
      throw new RuntimeError(
        'damaged',
        `${name} lists ${JSON.stringify(path)}: ${reason}`,
        'do not use this bundle: pgconv did not write it',
      );
  }
  const byPath = new Map(files.map((file) => [file.path, file]));
  if (byPath.size < files.length || byPath.has(HASHES_PATH)) throw damaged('lists a file twice');
  return byPath;
}

function isFileList(files: unknown): files is readonly FileHash[] {
  const isFile = (file: unknown) => {
    const { path, bytes, sha256 } = (file ?? {}) as Readonly<Record<string, unknown>>;
    return (
      typeof path === 'string' &&
      Number.isSafeInteger(bytes) &&
      (bytes as number) >= 0 &&
      typeof sha256 === 'string' &&
      /^[0-9a-f]{64}$/.test(sha256)
    );
  };
  return Array.isArray(files) && files.every(isFile);
}

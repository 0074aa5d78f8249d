import { access, constants, lstat, open, readdir, realpath, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { OutputError, PgconvError } from '../errors.ts';
import { MANIFEST_NAME, readManifest } from './manifest.ts';
import { outputError } from '../output_error.ts';

/** Where a bundle goes, and the names beside it that a run uses: all on one file system, so that renames are atomic. */
export interface OutputFolder {
  readonly path: string;
  readonly parent: string;
  readonly lock: string;
  /** Prefix of staging folders. */
  readonly staging: string;
  /** The old bundle during a swap. */
  readonly old: string;
}

/**
 * Checks early what would otherwise fail after minutes of work. Nothing is changed.
 * @throws OutputError `exists`, `not_a_bundle`, `parent_missing`, `not_writable`
 */
export async function checkOutput(outDir: string, force: boolean): Promise<OutputFolder> {
  const asked = resolve(outDir);
  // A link to a bundle keeps pointing at the new one.
  const path = await realpath(asked).catch(() => asked);
  const parent = dirname(path);
  if (path === parse(path).root)
    throw new OutputError('exists', 'the output cannot be the root of a file system', {
      file: path,
      hint: 'name a folder with --out',
    });
  const stats = await stat(parent).catch((error: unknown) => {
    throw outputError(error, parent);
  });
  if (!stats.isDirectory())
    throw new OutputError('parent_missing', 'the parent of the output is not a folder', {
      file: parent,
      hint: 'choose another path with --out',
    });
  await access(parent, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw outputError(error, parent);
  });
  const beside = (name: string) => join(parent, `.${basename(path)}.pgconv-${name}`);
  const folder = { path, parent, lock: beside('lock'), staging: beside('new-'), old: beside('old') };
  await checkReplaceable(folder, force);
  return folder;
}

/**
 * `--force` replaces bundles, and empty folders, and nothing else: a slip of the hand must not delete a home folder.
 */
export async function checkReplaceable({ path }: OutputFolder, force: boolean): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return;
  if (!force)
    throw new OutputError('exists', 'the output exists', {
      file: path,
      hint: 'choose another path with --out, or replace it with --force',
    });
  const refuse = (message: string, cause?: unknown) =>
    new OutputError(
      'not_a_bundle',
      message,
      { file: path, hint: 'choose another path with --out, or remove it yourself' },
      cause === undefined ? undefined : { cause },
    );
  if (!stats.isDirectory()) throw refuse('--force replaces bundles only, and this is not a folder');
  if ((await readdir(path)).length === 0) return;
  try {
    await readManifest(path);
  } catch (error) {
    // A damaged bundle may be replaced; a folder that never was one may not.
    if (error instanceof PgconvError && error.code !== 'not_a_bundle' && (await looksLikeOurs(path))) return;
    throw refuse('--force replaces bundles only, and this folder is not one', error);
  }
}

async function looksLikeOurs(path: string): Promise<boolean> {
  const handle = await open(join(path, MANIFEST_NAME));
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0);
    return buffer.subarray(0, bytesRead).includes('"pgconv-bundle"');
  } finally {
    await handle.close();
  }
}

/** Puts right what a killed run left: called by the holder of the lock only, so whatever lies there is dead. */
export async function recover({ path, parent, old, staging }: OutputFolder): Promise<void> {
  for (const name of await readdir(parent))
    if (join(parent, name).startsWith(staging)) await rm(join(parent, name), { recursive: true, force: true });
  if (!(await exists(old))) return;
  if (await exists(path)) await rm(old, { recursive: true, force: true });
  else await rename(old, path);
}

/** Moves the finished staging folder to its place; an old bundle is swapped out, and comes back when that fails. */
export async function putInPlace(staged: string, { path, old, parent }: OutputFolder): Promise<void> {
  const replaces = await exists(path);
  if (replaces) await rename(path, old);
  try {
    await rename(staged, path);
  } catch (error) {
    if (replaces) await rename(old, path);
    throw error;
  }
  await syncFolder(parent);
  // The new bundle is in place: leftovers of the old one are the next run's to remove.
  if (replaces) await rm(old, { recursive: true, force: true }).catch(() => {});
}

/** @throws OutputError `disk_full` when the file system says that `bytes` do not fit */
export async function checkSpace(parent: string, bytes: number): Promise<void> {
  const { bavail, bsize, blocks } = await statfs(parent);
  const free = bavail * bsize;
  // Some network file systems tell nothing.
  if (blocks > 0 && free < bytes)
    throw new OutputError('disk_full', `the bundle needs ${bytes} bytes and the disk has ${free} free`, {
      file: parent,
      hint: 'free some space, or choose another disk with --out',
    });
}

/**
 * Moves a finished bundle that nobody compared beside its place, `<out>.unverified`, with a number where that is taken.
 * @returns its path
 */
export async function keepUnverified(staging: string, { path, parent }: OutputFolder): Promise<string> {
  for (let n = 1; ; n++) {
    const kept = `${path}.unverified${n === 1 ? '' : `-${n}`}`;
    if (await lstat(kept).catch(() => undefined)) continue;
    await rename(staging, kept);
    await syncFolder(parent);
    return kept;
  }
}

/** Makes the names in a folder durable, where the system can do that. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined);
  try {
    await handle?.sync();
  } catch (error) {
    if (
      !(
        error instanceof Error &&
        'code' in error &&
        ['EINVAL', 'EPERM', 'EISDIR', 'EBADF', 'ENOTSUP'].includes(String(error.code))
      )
    )
      throw error;
  } finally {
    await handle?.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

import { access, constants, lstat, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { openRegular, readRegularText } from '../../backends/regular_file.js';
import { makeFolders, removePath, renamePath, syncFolder } from '../disk.js';
import { OutputError, PgconvError } from '../errors.ts';
import { unsafePathReason } from '../../backends/client/integrity/bundle_path.ts';
import { listFiles } from './check_bundle.ts';
import { MANIFEST_NAME, MAX_MANIFEST_BYTES, readManifest, type Manifest } from './manifest.ts';
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
  const folder = folderOf(path);
  await checkReplaceable(folder, force);
  return folder;
}

/** The names beside an absolute path. */
export function folderOf(path: string): OutputFolder {
  const parent = dirname(path);
  const beside = (name: string) => join(parent, `.${basename(path)}.pgconv-${name}`);
  return { path, parent, lock: beside('lock'), staging: beside('new-'), old: beside('old') };
}

/** The output that a staging folder, a lock or a bundle that was swapped out belongs to; undefined for other names. */
export function outputOf(path: string): string | undefined {
  const name = /^\.(.+)\.pgconv-(?:lock|old$|new-)/s.exec(basename(path))?.[1];
  return name === undefined ? undefined : join(dirname(path), name);
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
  const handle = await openRegular(join(path, MANIFEST_NAME));
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0);
    return buffer.subarray(0, bytesRead).includes('"pgconv-bundle"');
  } finally {
    await handle.close();
  }
}

/** What became of files that were in the folder and are no part of a bundle. */
export interface KeptFiles {
  /** They lie where they lay, beside the new bundle: paths in it. */
  readonly inPlace: readonly string[];
  /** The new bundle has files of their names, or nobody could tell them from the old one's: a folder of their own. */
  readonly aside?: { readonly dir: string; readonly files: readonly string[] };
}

/**
 * Puts right what a run left that was killed while it swapped bundles: called by the holder of the lock only, so
 * whatever lies there is dead.
 */
export async function recover(folder: OutputFolder): Promise<KeptFiles | undefined> {
  const { path, old } = folder;
  if (!(await exists(old))) return undefined;
  if (await exists(path)) return settleOld(folder);
  await renamePath(old, path);
  return undefined;
}

/**
 * Moves a finished bundle to its place; an old one is swapped out, and comes back when that fails.
 * @param check throws when the lock was lost: asked before each step
 */
export async function putInPlace(
  staged: string,
  folder: OutputFolder,
  check: () => Promise<void>,
): Promise<KeptFiles | undefined> {
  const { path, old, parent } = folder;
  const replaces = await exists(path);
  await check();
  if (replaces) await renamePath(path, old);
  try {
    await check();
    await renamePath(staged, path);
  } catch (error) {
    // whoever has the lock now has put the old one back
    if (replaces && !(await exists(path)) && (await exists(old))) await renamePath(old, path);
    throw error;
  }
  await syncFolder(parent);
  return replaces ? settleOld(folder) : undefined;
}

/**
 * Removes a bundle that was swapped out: what its manifest lists, the manifest last, so that a run that is killed
 * meanwhile can be made up for. Whatever else lay in the folder is its owner's, and is moved into the new one.
 */
async function settleOld({ path, old }: OutputFolder): Promise<KeptFiles | undefined> {
  const listed = await listedFiles(old);
  const foreign = (await listFiles(old)).filter((file) => !listed.has(file));
  const inPlace: string[] = [];
  for (const file of listed.size === 0 ? [] : foreign) {
    if (await exists(join(path, file))) continue;
    await makeFolders(dirname(join(path, file)));
    await renamePath(join(old, file), join(path, file));
    inPlace.push(file);
  }
  for (const file of listed) if (file !== MANIFEST_NAME) await removePath(join(old, file));
  await removePath(join(old, MANIFEST_NAME));
  const files = await listFiles(old);
  if (files.length === 0) {
    await removePath(old);
    return inPlace.length === 0 ? undefined : { inPlace };
  }
  const dir = await moveAside(old, `${path}.replaced`);
  return { inPlace, aside: { dir, files } };
}

/** Paths that a manifest lists, itself among them; of one that is damaged, as far as it can be read. */
async function listedFiles(dir: string): Promise<ReadonlySet<string>> {
  try {
    const { files } = JSON.parse(
      await readRegularText(join(dir, MANIFEST_NAME), MAX_MANIFEST_BYTES),
    ) as Partial<Manifest>;
    const paths = (files ?? []).map(({ path }) => path);
    return new Set([MANIFEST_NAME, ...paths.filter((path) => unsafePathReason(path) === undefined)]);
  } catch {
    return new Set();
  }
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
export async function keepUnverified(staged: string, { path, parent }: OutputFolder): Promise<string> {
  const kept = await moveAside(staged, `${path}.unverified`);
  await syncFolder(parent);
  return kept;
}

async function moveAside(from: string, to: string): Promise<string> {
  for (let n = 1; ; n++) {
    const place = n === 1 ? to : `${to}-${n}`;
    if (await exists(place)) continue;
    await renamePath(from, place);
    return place;
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

import { access, constants, lstat, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { openRegular, readRegularText } from '../../backends/regular_file.js';
import { makeFolders, removePath, renamePath, syncFolder } from '../disk.js';
import { OutputError, PgconvError } from '../errors.ts';
import { unsafePathReason } from '../../backends/client/integrity/bundle_path.ts';
import { listFiles } from './check_bundle.ts';
import { hashFiles, type HashOptions } from './hash_files.ts';
import { MANIFEST_NAME, MAX_MANIFEST_BYTES, readManifest, type FileEntry, type Manifest } from './manifest.ts';
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

/** What became of files that were in the folder and are no part of a bundle, or not as it was written. */
export interface KeptFiles {
  /** They lie where they lay, beside the new bundle: paths in it. */
  readonly inPlace: readonly string[];
  /**
   * A folder of their own: the new bundle has files of their names, they were changed since the old one was written, or
   * nobody could tell them from its files.
   */
  readonly aside?: { readonly dir: string; readonly files: readonly string[] };
}

/** The bytes of a bundle that is replaced are compared with its manifest, which takes a while where they are many. */
export type Compared = Pick<HashOptions, 'onTotal' | 'onRead'>;

/**
 * Puts right what a run left that was killed while it swapped bundles: called by the holder of the lock only, so
 * whatever lies there is dead.
 */
export async function recover(folder: OutputFolder): Promise<KeptFiles | undefined> {
  const { path, old } = folder;
  const stats = await lstat(old).catch(() => undefined);
  if (!stats) return undefined;
  if (!stats.isDirectory())
    throw new OutputError('exists', 'something has the name that a bundle is moved to while it is replaced', {
      file: old,
      hint: 'move it away',
    });
  if (!(await exists(path))) {
    await renamePath(old, path);
    return undefined;
  }
  // what was published is sound: anything else came there since, and the old bundle may be the only one
  if (await isSound(path)) return settleOld(folder, {});
  const files = await listFiles(old);
  return { inPlace: [], aside: { dir: await moveAside(old, `${path}.replaced`), files } };
}

/**
 * Moves a finished bundle to its place; an old one is swapped out, and comes back when that fails.
 * @param check throws when the lock was lost: asked before each step
 */
export async function putInPlace(
  staged: string,
  folder: OutputFolder,
  check: () => Promise<void>,
  compared: Compared = {},
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
  return replaces ? settleOld(folder, compared) : undefined;
}

/**
 * Removes a bundle that was swapped out: the files that are what its manifest says of them, the manifest last, so that
 * a run that is killed meanwhile can be made up for. Whatever else lay in the folder is its owner's: what no manifest
 * lists is moved into the new one, what was changed since it was written is kept aside.
 */
async function settleOld({ path, old }: OutputFolder, compared: Compared): Promise<KeptFiles | undefined> {
  const listed = await listedFiles(old);
  const isManifestSound = await isSound(old);
  const found = await listFiles(old);
  for (const file of listed.size === 0 ? [] : found) {
    if (file === MANIFEST_NAME || listed.has(file) || !(await hasRoom(path, file))) continue;
    await makeFolders(dirname(join(path, file)));
    await renamePath(join(old, file), join(path, file));
  }
  // those too that a run had moved which was killed then
  const own = await listedFiles(path);
  const inPlace = (await listFiles(path)).filter((file) => file !== MANIFEST_NAME && !own.has(file));
  for (const file of await unchangedFiles(old, found, listed, compared)) await removePath(join(old, file));
  if (isManifestSound) await removePath(join(old, MANIFEST_NAME));
  const files = await listFiles(old);
  if (files.length === 0) {
    await removePath(old);
    return inPlace.length === 0 ? undefined : { inPlace };
  }
  const dir = await moveAside(old, `${path}.replaced`);
  return { inPlace, aside: { dir, files } };
}

type Listed = ReadonlyMap<string, Pick<FileEntry, 'bytes' | 'sha256'>>;

/** What a manifest lists; of one that is damaged, as far as it can be read. */
async function listedFiles(dir: string): Promise<Listed> {
  try {
    const text = await readRegularText(join(dir, MANIFEST_NAME), MAX_MANIFEST_BYTES);
    const { files = [] } = JSON.parse(text) as Partial<Manifest>;
    return new Map(files.filter(({ path }) => unsafePathReason(path) === undefined).map((file) => [file.path, file]));
  } catch {
    return new Map();
  }
}

/** Whether a folder has a manifest, and that is what was written. */
function isSound(dir: string): Promise<boolean> {
  return readManifest(dir).then(
    () => true,
    () => false,
  );
}

/** Whether a file can be put at a path below a folder: nothing is there, and no part of the path is a file. */
async function hasRoom(folder: string, file: string): Promise<boolean> {
  const parts = file.split('/');
  for (let depth = 1; depth < parts.length; depth++) {
    const stats = await lstat(join(folder, ...parts.slice(0, depth))).catch(() => undefined);
    if (stats && !stats.isDirectory()) return false;
  }
  return !(await exists(join(folder, file)));
}

/** Files of a folder that are, byte for byte, what a manifest says of them. What cannot be read is not among them. */
async function unchangedFiles(
  dir: string,
  found: readonly string[],
  listed: Listed,
  { onTotal, onRead }: Compared,
): Promise<readonly string[]> {
  const candidates: { readonly file: string; readonly entry: Pick<FileEntry, 'bytes' | 'sha256'> }[] = [];
  for (const file of found) {
    const entry = listed.get(file);
    if (entry === undefined) continue;
    const stats = await lstat(join(dir, file));
    if (stats.isFile() && stats.size === entry.bytes) candidates.push({ file, entry });
  }
  onTotal?.(candidates.reduce((sum, { entry }) => sum + entry.bytes, 0));
  const unchanged: string[] = [];
  for (const { file, entry } of candidates) {
    const path = join(dir, file);
    const hashes = await hashFiles([path], { ...(onRead && { onRead }) }).catch(() => undefined);
    if (hashes?.get(path)?.sha256 === entry.sha256) unchanged.push(file);
  }
  return unchanged;
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

import { lstat, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { BadInputError } from '../errors.ts';
import { hashFiles, type HashOptions } from './hash_files.ts';
import { MANIFEST_NAME, readManifest, type FileEntry, type Manifest } from './manifest.ts';

export interface CheckedBundle {
  readonly manifest: Manifest;
  /** Files in the folder that the manifest does not know: harmless, and nobody vouches for them. */
  readonly unlisted: readonly string[];
}

/**
 * Proves that a bundle is, bit for bit, what was written: the manifest itself, and the size and sha256 of each file it
 * lists.
 * @throws BadInputError `bundle_damaged` that names every file that is missing, of another size, or changed
 */
export async function checkBundle(dir: string, options: HashOptions = {}): Promise<CheckedBundle> {
  const manifest = await readManifest(dir);
  await checkFiles(dir, manifest.files, options);
  const listed = new Set([MANIFEST_NAME, ...manifest.files.map(({ path }) => path)]);
  return { manifest, unlisted: (await listFiles(dir)).filter((path) => !listed.has(path)) };
}

/** The same of some of its files. @throws BadInputError `bundle_damaged` */
export async function checkFiles(dir: string, files: readonly FileEntry[], options: HashOptions = {}): Promise<void> {
  const problems: { path: string; problem: string }[] = [];
  const sound: FileEntry[] = [];
  for (const entry of files) {
    const problem = await sizeProblem(dir, entry);
    if (problem) problems.push({ path: entry.path, problem });
    else sound.push(entry);
  }
  options.onTotal?.(sound.reduce((sum, { bytes }) => sum + bytes, 0));
  const hashes = await hashFiles(
    sound.map(({ path }) => join(dir, path)),
    options,
  );
  for (const { path, sha256 } of sound)
    if (hashes.get(join(dir, path))?.sha256 !== sha256)
      problems.push({ path, problem: 'its bytes changed (the sha256 differs)' });
  if (problems.length === 0) return;
  const list = problems.map(({ path, problem }) => `${path}: ${problem}`).join('; ');
  const count = problems.length === 1 ? '1 file is' : `${problems.length} files are`;
  throw new BadInputError('bundle_damaged', `${count} not what was written: ${list}`, {
    file: join(dir, problems[0]!.path),
    hint: 'copy the bundle again, or convert the checkpoint again',
  });
}

/** Links are not followed, at no level of the path. */
async function sizeProblem(dir: string, { path, bytes }: FileEntry): Promise<string | undefined> {
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth++) {
    const folder = await lstat(join(dir, ...parts.slice(0, depth))).catch(() => undefined);
    if (!folder?.isDirectory()) return folder ? `${parts.slice(0, depth).join('/')} is not a folder` : 'it is missing';
  }
  const stats = await lstat(join(dir, path)).catch(() => undefined);
  if (!stats) return 'it is missing';
  if (!stats.isFile()) return 'it is not a regular file';
  if (stats.size < bytes) return `it is truncated: ${stats.size} of ${bytes} bytes`;
  if (stats.size > bytes) return `it is too long: ${stats.size} bytes for ${bytes}`;
  return undefined;
}

/** Paths of all files below a folder, with `/`, in order. */
export async function listFiles(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removePath } from '../disk.js';
import { OutputError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import { listFiles } from './check_bundle.ts';
import { removeLeftovers } from './claim.ts';
import { heldBy, SILENT_MS, type Holder } from './lock.ts';
import { folderOf, outputOf } from './output_folder.ts';

/** What runs leave beside their outputs when they are killed. */
export type LeftoverKind =
  | 'unfinished bundle'
  | 'replaced bundle'
  | 'lock'
  | 'draft of a file'
  | 'synthetic checkpoint';

export interface Leftover {
  /** Absolute. */
  readonly path: string;
  readonly kind: LeftoverKind;
  readonly bytes: number;
  /** What became of it. `found`: nothing was to be removed. */
  readonly state: 'removed' | 'put back' | 'found' | 'in use';
  /** The process that uses it, and its machine. */
  readonly by?: string;
  /** Of a replaced bundle: files of its folder's owner, which are kept, and where. */
  readonly kept?: readonly string[];
}

export interface CleanOptions {
  /** Tells what there is, and removes nothing. */
  readonly dryRun?: boolean;
}

/** Drafts that are put in the place of files are there for milliseconds. */
const DRAFT = /^\..+\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.tmp$/s;
const SYNTHETIC = /^\..+\.synth-(\d+)$/s;

/**
 * Removes what runs of pgconv have left in a folder, where no process holds it: staging folders, locks of the dead,
 * drafts. A bundle that a killed run had moved away to replace it is put back.
 * @throws OutputError when the folder cannot be read or something cannot be removed
 */
export async function cleanFolder(dir: string, { dryRun = false }: CleanOptions = {}): Promise<readonly Leftover[]> {
  const names = await readdir(dir).catch((error: unknown) => {
    throw outputError(error, dir);
  });
  const paths = names.sort().map((name) => join(dir, name));
  const found: Leftover[] = [];
  for (const output of new Set(paths.map(outputOf)))
    if (output !== undefined)
      found.push(
        ...(await ofOutput(
          output,
          paths.filter((path) => outputOf(path) === output),
          dryRun,
        )),
      );
  for (const [i, path] of paths.entries()) {
    const kind = await strayKind(names[i]!, path);
    if (kind === undefined) continue;
    const bytes = await bytesBelow(path);
    if (!dryRun) await removed(path);
    found.push({ path, kind, bytes, state: dryRun ? 'found' : 'removed' });
  }
  return found;
}

/** What lies beside one output. */
async function ofOutput(output: string, paths: readonly string[], dryRun: boolean): Promise<readonly Leftover[]> {
  const { lock, old } = folderOf(output);
  const kindOf = (path: string): LeftoverKind =>
    path === old ? 'replaced bundle' : path.startsWith(lock) ? 'lock' : 'unfinished bundle';
  const listed = await Promise.all(
    paths.map(async (path) => ({ path, kind: kindOf(path), bytes: await bytesBelow(path) })),
  );
  const inUse = (holder: Holder | undefined) =>
    listed.map((item) => ({
      ...item,
      state: 'in use' as const,
      ...(holder && { by: `process ${holder.pid} on ${holder.host}` }),
    }));
  const held = await heldBy(lock);
  if (held) return inUse(held.holder);
  if (dryRun) return listed.map((item) => ({ ...item, state: 'found' }));
  try {
    const { putBack, kept } = await removeLeftovers(output);
    const files = [
      ...(kept?.inPlace ?? []).map((file) => join(output, file)),
      ...(kept?.aside?.files ?? []).map((file) => join(kept!.aside!.dir, file)),
    ];
    return listed.map((item) => {
      if (item.path !== old) return { ...item, state: 'removed' };
      return { ...item, state: putBack ? 'put back' : 'removed', ...(files.length > 0 && { kept: files }) };
    });
  } catch (error) {
    // another run came first
    if (error instanceof OutputError && error.code === 'locked') return inUse((await heldBy(lock))?.holder);
    throw error;
  }
}

/** What is beside no output, and of no process that lives. */
async function strayKind(name: string, path: string): Promise<LeftoverKind | undefined> {
  const pid = SYNTHETIC.exec(name)?.[1];
  if (pid !== undefined) return isRunning(Number(pid)) ? undefined : 'synthetic checkpoint';
  if (!DRAFT.test(name)) return undefined;
  const stats = await lstat(path).catch(() => undefined);
  return stats?.isFile() && Date.now() - stats.mtimeMs > SILENT_MS ? 'draft of a file' : undefined;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function removed(path: string): Promise<void> {
  await removePath(path).catch((error: unknown) => {
    throw outputError(error, path);
  });
}

/** Of a file, or of all files below a folder; what goes away meanwhile has none. */
async function bytesBelow(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isDirectory()) return stats?.size ?? 0;
  let sum = 0;
  for (const file of await listFiles(path).catch(() => []))
    sum += (await lstat(join(path, file)).catch(() => undefined))?.size ?? 0;
  return sum;
}

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder below the one that was given. */
export interface Subfolder {
  /** Relative to the folder that was given. */
  readonly name: string;
  readonly path: string;
  /** Its entries, in order. */
  readonly names: readonly string[];
}

/** A Hub cache holds models three levels deep: models--x/snapshots/<commit>. */
const DEPTH = 3;
/** More would be somebody's home, not a folder of checkpoints. */
const MOST_FOLDERS = 2000;

/**
 * The folders below one, a level at a time: those of a level in order, numbers by their value. Links are not followed,
 * hidden folders and node_modules are left out.
 */
export async function* levelsBelow(root: string): AsyncGenerator<readonly Subfolder[]> {
  let level: readonly Subfolder[] = [{ name: '', path: root, names: [] }];
  let left = MOST_FOLDERS;
  for (let depth = 0; depth < DEPTH && level.length > 0; depth++) {
    const below: Subfolder[] = [];
    for (const { name: above, path } of level)
      for (const name of await foldersIn(path)) {
        if (left-- === 0) return;
        const inner = join(path, name);
        below.push({ name: join(above, name), path: inner, names: await entriesOf(inner) });
      }
    if (below.length > 0) yield below;
    level = below;
  }
}

/** The folders of the first level that has any of a kind, as names relative to `root`; none when no level has. */
export async function foldersWith(root: string, isOne: (folder: Subfolder) => boolean): Promise<readonly Subfolder[]> {
  for await (const level of levelsBelow(root)) {
    const found = level.filter(isOne);
    if (found.length > 0) return found;
  }
  return [];
}

/** Names of many folders or files, for a message. */
export function listed(names: readonly string[]): string {
  return names.length > 12 ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more` : names.join(', ');
}

async function entriesOf(path: string): Promise<readonly string[]> {
  const names: readonly string[] = await readdir(path).catch(() => []);
  return names.toSorted();
}

async function foldersIn(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map(({ name }) => name)
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactFile } from '../../backends/backend.ts';
import { createFile, makeFolder, removePath, renamePath, replaceFile, syncFolder } from '../disk.js';
import { listFiles } from './check_bundle.ts';
import { differenceOf, journalText, JOURNAL_NAME, readJournal, type Journal, type Undertaking } from './journal.ts';
import type { Lock } from './lock.ts';
import type { OutputFolder } from './output_folder.ts';

/** Of a staging folder, the bundle that is being written; the journal lies beside it. */
const BUNDLE = 'bundle';

/** Where a run writes. */
export interface Staging {
  readonly dir: string;
  /** Its files, as they will be in place. */
  readonly bundle: string;
  /** Undefined for a run that cannot be gone on with. */
  readonly journal: string | undefined;
  /** What a run before has written of each file. */
  readonly flushed: Journal['flushed'];
}

/** Why what an earlier run left is of no use, in words, and how many bytes that was. */
export type OnLeftover = (why: string, bytes: number) => void;

/**
 * A staging folder of this run's own. What an earlier run has left there is gone on with when it had undertaken the
 * same, and is removed when not; also where its process may yet wake up and write: it was suspended, or is of another
 * machine. With `anew` nothing is gone on with.
 */
export async function openStaging(
  { folder, lock }: { readonly folder: OutputFolder; readonly lock: Lock },
  undertaking: Undertaking | undefined,
  { anew, onLeftover }: { readonly anew: boolean; readonly onLeftover: OnLeftover },
): Promise<Staging> {
  const dir = folder.staging + lock.token;
  const staging = { dir, bundle: join(dir, BUNDLE), journal: undefined, flushed: new Map() };
  const refused = anew ? 'this run begins anew' : lock.tookOverSilent ? 'its process may yet go on with it' : undefined;
  const left = await takeUp(folder, dir, undertaking, refused, onLeftover);
  for (const other of await stagingsOf(folder)) if (other !== dir) await removePath(other);
  const journal = join(dir, JOURNAL_NAME);
  if (undertaking && left) {
    // lines behind one that was cut off would be lost with it
    await replaceFile(journal, journalText(undertaking, left.flushed));
    return { ...staging, journal, flushed: left.flushed };
  }
  await makeFolder(dir);
  await makeFolder(staging.bundle);
  if (!undertaking) return staging;
  await createFile(journal, journalText(undertaking, new Map()));
  for (const made of [dir, folder.parent]) await syncFolder(made);
  return { ...staging, journal };
}

/** Paths of staging folders for an output, whoever made them. */
export async function stagingsOf({ parent, staging }: OutputFolder): Promise<readonly string[]> {
  return (await readdir(parent)).map((name) => join(parent, name)).filter((path) => path.startsWith(staging));
}

/**
 * Moves what is of use to `dir`, with the files alone that the journal knows.
 * @param refused why nothing is
 */
async function takeUp(
  folder: OutputFolder,
  dir: string,
  undertaking: Undertaking | undefined,
  refused: string | undefined,
  onLeftover: OnLeftover,
): Promise<Journal | undefined> {
  for (const other of await stagingsOf(folder)) {
    const journal = await readJournal(other);
    // published, and its journal could not be removed
    const isPublished = !(await stat(join(other, BUNDLE)).catch(() => undefined));
    if (!journal || journal.flushed.size === 0 || isPublished) continue;
    const why = refused ?? (undertaking ? differenceOf(journal, undertaking) : 'this run cannot go on with it');
    if (why !== undefined) {
      onLeftover(why, bytesIn(journal.flushed));
      continue;
    }
    await renamePath(other, dir);
    for (const file of await listFiles(join(dir, BUNDLE)))
      if (!journal.flushed.has(file)) await removePath(join(dir, BUNDLE, file));
    return journal;
  }
  return undefined;
}

/** Bytes that a run could go on with. */
export async function flushedBytes(dir: string): Promise<number> {
  const journal = await readJournal(dir);
  return journal ? bytesIn(journal.flushed) : 0;
}

/** The same of a journal that was read. */
export function bytesIn(flushed: Journal['flushed']): number {
  return [...flushed.values()].reduce((sum, places) => sum + places.at(-1)!.bytes, 0);
}

/** What a run writes: the command that it is of, what that reads, and which files come of it. */
export function undertakingOf(
  { command, sources }: Pick<Undertaking, 'command' | 'sources'>,
  files: readonly ArtifactFile[],
): Undertaking {
  const listed = files.map(({ path, byteLength }) => [path, byteLength]);
  return { command, sources, files: createHash('sha256').update(JSON.stringify(listed)).digest('hex') };
}

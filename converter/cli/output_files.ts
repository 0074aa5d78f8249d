import { stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';
import { makeFolders, placeOf, removeEmptyFolder, tryReplace } from '../disk.js';
import { UsageError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import type { ReadFile } from './input_files.ts';

/** A file that a command is to write. */
export interface OutputFile {
  /** That names it: `--html`. */
  readonly option: string;
  readonly path: string;
}

/** What the files that a command writes must leave alone. */
export interface Kept {
  readonly reads: readonly ReadFile[];
  /** Folders that hold a bundle, or will hold one: nothing else belongs there. */
  readonly bundles: readonly string[];
}

interface Placed extends OutputFile {
  /** Behind all links. */
  readonly place: string;
  /** Undefined where nothing is there yet. */
  readonly inode: string | undefined;
}

/**
 * What `refuseTaken` and `preparePlaces` do, before any work. Returns what takes the folders away again that were made,
 * where a command ends without a file in them.
 * @throws as they do
 */
export async function prepareOutputs(files: readonly OutputFile[], kept: Kept): Promise<() => Promise<void>> {
  await refuseTaken(files, kept);
  return preparePlaces(files);
}

/**
 * Refuses what would take the place of another file. Files are compared as the file system does, whatever names lead to
 * them. @throws UsageError `same_report_file`, `overwrites_input`, `inside_bundle`
 */
export async function refuseTaken(files: readonly OutputFile[], { reads, bundles }: Kept): Promise<void> {
  const placed: Placed[] = [];
  for (const { option, path } of files) {
    const place = await placeOf(path);
    placed.push({ option, path, place, inode: await inodeOf(place) });
  }
  placed.forEach((file, i) => refuseSame(file, placed.slice(0, i)));
  for (const file of placed) {
    await refuseInside(file, bundles);
    await refuseRead(file, reads);
  }
}

/**
 * Makes folders, and looks whether files can be written there. @returns what takes those folders away that are empty
 * @throws OutputError for a place where no file can be
 */
async function preparePlaces(files: readonly OutputFile[]): Promise<() => Promise<void>> {
  const made: string[] = [];
  const undo = async () => {
    for (const folder of made.toReversed()) await removeEmptyFolder(folder).catch(() => {});
  };
  for (const { option, path } of files) {
    try {
      made.push(...(await makeFolders(dirname(await placeOf(path)))));
      await tryReplace(path);
    } catch (error) {
      await undo();
      throw outputError(error, path, option);
    }
  }
  return undo;
}

function refuseSame({ option, path, place, inode }: Placed, others: readonly Placed[]): void {
  for (const other of others) {
    const same = place === other.place || (inode !== undefined && inode === other.inode);
    const within = place.startsWith(other.place + sep) || other.place.startsWith(place + sep);
    if (same || within)
      throw new UsageError(
        'same_report_file',
        same ? `${other.option} and ${option} name the same file` : `${other.option} and ${option} lie in each other`,
        { file: path, hint: 'give each a file of its own' },
      );
  }
}

async function refuseInside({ option, path, place }: Placed, bundles: readonly string[]): Promise<void> {
  for (const bundle of bundles) {
    const [folder, inode] = [await placeOf(bundle), await inodeOf(bundle)];
    for (let above = place; ; above = dirname(above)) {
      if (above === folder || (inode !== undefined && (await inodeOf(above)) === inode))
        throw new UsageError('inside_bundle', `${option} lies in ${bundle}, which has files of its own alone`, {
          file: path,
          hint: `name a file elsewhere with ${option}`,
        });
      if (dirname(above) === above) break;
    }
  }
}

async function refuseRead({ option, path, place, inode }: Placed, reads: readonly ReadFile[]): Promise<void> {
  for (const { path: read, of } of reads)
    if (place === (await placeOf(read)) || (inode !== undefined && inode === (await inodeOf(read))))
      throw new UsageError('overwrites_input', `${option} names a file of ${of}, which is read`, {
        file: path,
        hint: `name another file with ${option}`,
      });
}

/** What two names of one file have in common. */
async function inodeOf(path: string): Promise<string | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  return stats && `${stats.dev}:${stats.ino}`;
}

import { join } from 'node:path';
import { z } from 'zod';
import { readRegularText } from '../../backends/regular_file.js';

/*
 * A journal says how far the files of a staged bundle are on disk, so that a run that was killed can be gone on with.
 * Its first line says what is written, and each other one that a file has so many bytes, and the sha256 of them; a line
 * is written when they are flushed. It lies beside the bundle in the staging folder.
 */

export const JOURNAL_NAME = 'journal';
/** A line of 200 bytes for each 64 MB written, and more: larger than any that is written here. */
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** What a run writes: two that are alike in all of it write the same bytes. Each is a sha256, for they are compared. */
export interface Undertaking {
  /** Command, options and version. */
  readonly command: string;
  /** Every file that was opened, as the file system describes it. */
  readonly sources: string;
  /** Paths and sizes of what is written. */
  readonly files: string;
}

/** A place in a file up to which it is on disk. */
export interface FlushedTo {
  readonly bytes: number;
  /** Of all bytes before. */
  readonly sha256: string;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const headLine = z.strictObject({ pgconvJournal: z.literal(1), command: sha256, sources: sha256, files: sha256 });
const fileLine = z.strictObject({ file: z.string(), bytes: z.int().nonnegative(), sha256 });

/** The text of a journal; the thread that writes files adds lines to it. */
export function journalText({ command, sources, files }: Undertaking, flushed: Journal['flushed']): string {
  const lines = [...flushed].flatMap(([file, places]) => places.map((place): JournalLine => ({ file, ...place })));
  return [{ pgconvJournal: 1, command, sources, files }, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** The line of a file, without its end. */
export type JournalLine = z.infer<typeof fileLine>;

export interface Journal extends Undertaking {
  /** Of each file, in the order in which it was written. */
  readonly flushed: ReadonlyMap<string, readonly FlushedTo[]>;
}

/** Undefined where there is none that can be read. What follows a line that was cut off counts as not written. */
export async function readJournal(staging: string): Promise<Journal | undefined> {
  const text = await readRegularText(join(staging, JOURNAL_NAME), MAX_JOURNAL_BYTES).catch(() => '');
  const [first, ...rest] = text.split('\n').slice(0, -1);
  const head = headLine.safeParse(jsonOf(first ?? ''));
  if (!head.success) return undefined;
  const flushed = new Map<string, FlushedTo[]>();
  for (const line of rest) {
    const parsed = fileLine.safeParse(jsonOf(line));
    if (!parsed.success) break;
    const { file, bytes, sha256 } = parsed.data;
    const places = flushed.get(file) ?? [];
    flushed.set(file, [...places.filter((place) => place.bytes < bytes), { bytes, sha256 }]);
  }
  const { command, sources, files } = head.data;
  return { command, sources, files, flushed };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** What differs from what a journal was begun for, in words; undefined where nothing does. */
export function differenceOf(journal: Undertaking, now: Undertaking): string | undefined {
  if (journal.command !== now.command) return 'it is of another command';
  if (journal.sources !== now.sources) return 'the checkpoint, or a file beside it, changed since';
  if (journal.files !== now.files) return 'it has other files';
  return undefined;
}

import { failureOf } from './exit.ts';
import type { CommandResult } from './options.ts';
import type { ErrorReport } from '../errors.ts';

/**
 * Work that writes a file beside the result of a command: what stops it takes nothing back of the result, and is told
 * when that is. Returns whether it was written.
 */
export async function writing(result: CommandResult, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    keepUnwritten(result, error);
    return false;
  }
}

/** A file that could not be written, to be told with the result. */
export function keepUnwritten(result: CommandResult, error: unknown): void {
  const failure = failureOf(error);
  if (failure) result.unwritten = [...(result.unwritten ?? []), failure];
}

/** The field of `--json` that says what could not be written; none where all was. */
export function unwrittenField({ unwritten = [] }: CommandResult): { readonly unwritten?: readonly ErrorReport[] } {
  return unwritten.length === 0 ? {} : { unwritten: unwritten.map(({ report }) => report) };
}

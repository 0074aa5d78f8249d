import type { Sampled } from './sample.ts';

/** A slip that someone looked at and found to change nothing that anyone can see. */
export interface KnownEquivalent {
  readonly path: string;
  /** The line without the spaces around it. */
  readonly code: string;
  /** As the report names the slip. */
  readonly what: string;
  readonly why: string;
}

/** The entry for a slip. Lines are known by their text: they move. */
export function isKnown(
  known: readonly KnownEquivalent[],
  { path, line, what }: Pick<Sampled, 'path' | 'line' | 'what'>,
  source: string,
): KnownEquivalent | undefined {
  const code = source.split('\n')[line - 1]!.trim();
  return known.find((entry) => entry.path === path && entry.code === code && entry.what === what);
}

import { orAbort } from '../aborting.ts';

/** Tokens of one or more steps, [steps, rows]: what rows that have ended get counts for nothing. */
export type TokenChunks = AsyncGenerator<ArrayLike<number>>;

export interface DecodeLimits {
  readonly rows: number;
  /** Steps at most. */
  readonly steps: number;
  /** Ids that end a row. */
  readonly stops: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * One token of every row, step by step: stop tokens included, undefined for rows that have ended. Ends when all have,
 * or after `steps`. The chunks are ended with it, also by an error and by whoever stops listening. @throws what the
 * chunks throw; the signal's reason
 */
export async function* untilStopped(
  chunks: TokenChunks,
  { rows, steps, stops, signal }: DecodeLimits,
): AsyncGenerator<readonly (number | undefined)[]> {
  const ended = Array<boolean>(rows).fill(false);
  try {
    for (let given = 0; given < steps && !ended.every(Boolean);) {
      signal?.throwIfAborted();
      const { value: tokens, done } = await orAbort(chunks.next(), signal);
      if (done) return;
      for (let at = 0; at < tokens.length && given < steps && !ended.every(Boolean); at += rows) {
        signal?.throwIfAborted();
        const made = ended.map((over, row) => (over ? undefined : tokens[at + row]!));
        yield made;
        given++;
        made.forEach((token, row) => (ended[row] ||= token !== undefined && stops.includes(token)));
      }
    }
  } finally {
    await chunks.return(undefined);
  }
}

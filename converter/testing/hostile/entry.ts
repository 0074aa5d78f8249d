/** What a command makes of an input: an error code, or that it takes it, with a warning or without. */
export type Outcome = { readonly code: string } | { readonly taken: string };

/** One input that somebody may make to do harm, or by accident. */
export interface HostileInput {
  /** In the words of the page that lists it. */
  readonly input: string;
  readonly outcome: Outcome;
  /** Makes it in an empty folder. @returns the command line that gets it; `out` is where a bundle would be */
  readonly make?: (dir: string, out: string) => Promise<readonly string[]> | readonly string[];
  /** Of what needs more than a command line: the test that shows it, and words of its own. */
  readonly by?: readonly [file: string, words: string];
}

/** Inputs of a kind, under a heading. */
export interface HostileKind {
  readonly kind: string;
  readonly inputs: readonly HostileInput[];
}

export const refused = (code: string): Outcome => ({ code });
export const taken = (how = 'taken'): Outcome => ({ taken: how });

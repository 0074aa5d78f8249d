import type { RecordedScores } from './retrieval.ts';
import type { Outcome } from './run_case.ts';

/** Whose implementation was run, on what. */
export interface RecordedOf {
  /** `transformers`, `big_vision`. */
  readonly engine: string;
  /** Its version; empty where it has none. */
  readonly version: string;
  /** Path of the checkpoint as it was given there. */
  readonly checkpoint: string;
}

/**
 * What another implementation made of cases, read from files: a reference that nothing here can share a mistake with.
 */
export interface Recorded {
  readonly description: string;
  /** By the name of the case. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Of ColPali. */
  readonly scores?: readonly RecordedScores[];
  /** Where the recording says it, and that it is of the checkpoint at hand was checked. */
  readonly of?: RecordedOf;
}

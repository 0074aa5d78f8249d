import type { RecordedScores } from './retrieval.ts';
import type { Outcome } from './run_case.ts';

/**
 * What another implementation made of cases, read from files: a reference that nothing here can share a mistake with.
 */
export interface Recorded {
  readonly description: string;
  /** By the name of the case. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Of ColPali. */
  readonly scores?: readonly RecordedScores[];
}

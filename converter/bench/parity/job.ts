import type { Precision } from '../../../verify/tolerances.ts';
import type { VerifyReport } from '../../../verify/verify.ts';

/** Bundles of one fixture for one backend, which one process makes and runs one after the other. */
export interface Job {
  /** Name of a folder in fixtures/. */
  readonly fixture: string;
  readonly backend: string;
  /** Of backends that have several. */
  readonly target?: string;
  readonly precisions: readonly Precision[];
}

/** A bundle's: what it was, and the verdict or why there is none. */
export interface Outcome extends Omit<Job, 'precisions'> {
  readonly precision: Precision;
  /** From before its conversion to the verdict. */
  readonly seconds: number;
  readonly report?: VerifyReport;
  /** It does not exist: the backend does not have it. */
  readonly refused?: string;
  /** It broke, or was not done in time. */
  readonly error?: string;
}

/** What a process tells, as it comes. */
export interface Message {
  readonly outcome: Outcome;
}

/** How people name a job. */
export function jobName({ fixture, backend, target }: Omit<Job, 'precisions'>): string {
  return [fixture, backend, target].filter((part) => part !== undefined).join(' ');
}

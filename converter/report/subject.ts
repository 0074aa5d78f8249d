import type { VerifyReport } from '../../verify/verify.ts';
import type { ErrorReport } from '../errors.ts';

/** What a report is written of: a verification, or what stopped it before there was a verdict. */
export type Subject = {
  /** The bundle, as people named it. */
  readonly bundle: string;
} & ({ readonly report: VerifyReport } | { readonly error: ErrorReport });

/** The verdict in a word. */
export function verdictOf(subject: Subject): 'passed' | 'failed' | 'not verified' {
  if ('error' in subject) return 'not verified';
  return subject.report.passed ? 'passed' : 'failed';
}

/** What stopped a verification, with its place and its way out. */
export function errorLines({ code, message, file, tensor, offset, hint }: ErrorReport): readonly string[] {
  return [
    `${code}: ${message}`,
    ...(file === undefined ? [] : [`file: ${file}`]),
    ...(tensor === undefined ? [] : [`tensor: ${tensor}`]),
    ...(offset === undefined ? [] : [`byte offset: ${offset}`]),
    ...(hint === undefined ? [] : [`try: ${hint}`]),
  ];
}

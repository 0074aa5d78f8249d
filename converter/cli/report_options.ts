import type { Command } from 'commander';
import type { Subject } from '../report/subject.ts';
import type { ReportFiles } from '../report/write_reports.ts';
import type { ErrorReport } from '../errors.ts';
import { requirePlots } from '../bundle/require_runtime.ts';
import { failureOf } from './exit.ts';
import type { Io } from './io.ts';
import type { CommandResult } from './options.ts';
import { prepareOutputs, type Kept, type OutputFile } from './output_files.ts';
import { keepUnwritten } from './unwritten.ts';

/** Options of commands that verify: what was found, for those who are not at the terminal. */
export function withReportOptions(command: Command): Command {
  return command
    .option('--junit <file>', 'write what was found as JUnit’s XML, which CI services show as tests')
    .option('--html <file>', 'write it as one HTML page, with the error of every stage as a plot')
    .option('--markdown <file>', 'write it as GitHub’s Markdown');
}

/** The flags of `withReportOptions` among others, and the others. */
export function splitReportFlags<T extends ReportFiles>(
  flags: T,
): { readonly files: ReportFiles; readonly rest: Omit<T, keyof ReportFiles> } {
  const { junit, html, markdown, ...rest } = flags;
  const files = {
    ...(junit !== undefined && { junit }),
    ...(html !== undefined && { html }),
    ...(markdown !== undefined && { markdown }),
  };
  return { files, rest };
}

/** What `reporting` needs to know of a command beside its work. */
export interface Reporting<T> {
  readonly files: ReportFiles;
  /** Other files that the command writes. */
  readonly others?: readonly OutputFile[];
  /** What none of them may be. */
  readonly kept: () => Promise<Kept>;
  readonly subjectOf: (
    outcome: { readonly result: T } | { readonly error: unknown; readonly told: ErrorReport },
  ) => Subject;
}

/**
 * Writes the reports that are asked for, and annotations and the summary of a GitHub job. What stops a verification is
 * told in them as well, so that none of another run is taken for this one's. A report that cannot be written is kept in
 * `result`: the verdict is not lost with it.
 * @throws what `prepareOutputs` throws, before the work, and what the work throws
 */
export async function reporting<T>(
  io: Io,
  result: CommandResult,
  { files, others = [], kept, subjectOf }: Reporting<T>,
  work: () => Promise<T>,
): Promise<T> {
  const [{ writeJobSummary, writeReports }, { isGitHub, reportAnnotations }] = await Promise.all([
    import('../report/write_reports.ts'),
    import('../report/annotations.ts'),
  ]);
  const named = Object.entries(files).map(([form, path]) => ({ option: `--${form}`, path }));
  const outputs = [...named, ...others];
  if (files.html !== undefined) requirePlots();
  if (outputs.length > 0) await prepareOutputs(outputs, await kept());
  const write = async (subject: Subject) => {
    if (isGitHub(process.env) && 'report' in subject)
      for (const line of reportAnnotations(subject.bundle, subject.report)) io.err(line);
    const problem = await writeJobSummary(subject, process.env);
    if (problem !== undefined) io.err(`note: ${problem}`);
    const unwritten = await writeReports(files, subject);
    for (const { error } of unwritten) keepUnwritten(result, error);
    const missing = new Set(unwritten.map(({ file }) => file));
    const names = Object.values(files).filter((file) => !missing.has(file));
    if (names.length > 0) io.err(`report: ${names.join(', ')}`);
  };
  let outcome: T;
  try {
    outcome = await work();
  } catch (error) {
    const told = failureOf(error)?.report;
    if (told) await write(subjectOf({ error, told }));
    throw error;
  }
  await write(subjectOf({ result: outcome }));
  return outcome;
}

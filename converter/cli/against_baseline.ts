import { baselineTitle, compareWithBaseline, figuresOf, type Measured } from '../../verify/baseline.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { UsageError } from '../errors.ts';
import type { Io } from './io.ts';
import type { CommandResult } from './options.ts';
import { writing } from './unwritten.ts';

export interface BaselineFlags {
  readonly baseline?: string | undefined;
  readonly updateBaseline?: boolean | undefined;
}

/**
 * A verification, held against the figures of a file, or written to it when it passed: what it is of is compared as
 * soon as that is known, by who verifies.
 * @throws BadInputError for a file that is none; UsageError for one of another precision or model, or when none is
 * named; OutputError for a file that is to be replaced and is no baseline
 */
export async function againstBaseline(
  io: Io,
  result: CommandResult,
  { baseline: file, updateBaseline = false }: BaselineFlags,
  verify: (onKnown: (measured: Measured) => void) => Promise<VerifyReport>,
): Promise<VerifyReport> {
  if (file === undefined) {
    if (updateBaseline)
      throw new UsageError('update_without_baseline', '--update-baseline does not say which file', {
        hint: 'name it with --baseline',
      });
    return verify(() => {});
  }
  const { checkBaseline, readBaseline, readReplaced, writeBaseline } = await import('../report/baseline_file.ts');
  const before = updateBaseline ? await readReplaced(file) : await readBaseline(file);
  let of: Measured | undefined;
  const report = await verify((measured) => {
    if (before) checkBaseline(file, before, measured);
    of = measured;
  });
  if (!of) throw new Error('nobody said what was verified');
  if (!updateBaseline) {
    const baseline = compareWithBaseline(report, before!);
    return { ...report, passed: report.passed && baseline.passed, baseline };
  }
  if (!report.passed) {
    io.err(`note: ${file} is left as it was: the bundle did not pass`);
    return report;
  }
  const figures = figuresOf(report);
  if (await writing(result, () => writeBaseline(file, { ...of!, ...figures }))) {
    const changed = before ? ` (before: ${baselineTitle(compareWithBaseline(report, before))})` : '';
    io.err(`baseline: ${file}, figures of ${figures.figures.length} comparisons${changed}`);
  }
  return report;
}

import type { Program } from '../../ir/graph.ts';
import type { PassRun } from '../../ir/passes/index.ts';
import { bisect } from '../../verify/bisect/bisect.ts';
import { isCheap } from '../../verify/bisect/cost.ts';
import type { VerifyCase } from '../../verify/cases.ts';
import { MASK_CASE } from '../../verify/masks.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { InterruptedError, PgconvError } from '../errors.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withSteps } from '../terminal/steps.ts';

/** Every pass that ran over a program. */
export interface PassTrace {
  readonly runs: readonly PassRun[];
  /** When codes are no longer read. */
  dispose(): Promise<void>;
}

export interface BisectRequest {
  /** A family's f32 program. */
  readonly program: Program;
  readonly trace: () => Promise<PassTrace>;
  /** Those of the verification. */
  readonly cases: readonly VerifyCase[];
  /** Whether it is done whatever it takes. */
  readonly asked: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A report with which pass changed values, on the case that failed first: where that was asked for, or the report
 * failed and it is cheap. Passes are run again, by `trace`, only then.
 */
export async function withBisection(
  report: VerifyReport,
  { program, trace, cases, asked, signal }: BisectRequest,
  reporter: Reporter,
): Promise<VerifyReport> {
  const verifyCase = caseOf(report, cases);
  if (!asked && (!hasFailedCase(report, cases) || !isCheap(program, verifyCase))) return report;
  const passes = await trace().catch((error: unknown) => {
    // a report that failed is worth more than why it is not looked at more closely
    if (asked || !(error instanceof PgconvError) || error instanceof InterruptedError) throw error;
    reporter.warn(`Which pass changed values is not looked for: ${error.message}.`);
  });
  if (!passes) return report;
  const { runs, dispose } = passes;
  try {
    const bisection = await withSteps(reporter, 'bisect passes', (onProgress) =>
      bisect({ program, runs, verifyCase, onProgress, ...(signal && { signal }) }),
    );
    return { ...report, bisection };
  } finally {
    await dispose();
  }
}

/** Whether a case failed: that codes cost too much, which all cases together say, is no pass's fault. */
function hasFailedCase({ checks }: VerifyReport, cases: readonly VerifyCase[]): boolean {
  return checks.some(
    (check) => !check.passed && (check.case === MASK_CASE || cases.some(({ name }) => name === check.case)),
  );
}

function caseOf({ firstDivergingStage, checks }: VerifyReport, cases: readonly VerifyCase[]): VerifyCase {
  const failed = firstDivergingStage?.case ?? checks.find(({ passed }) => !passed)?.case;
  return cases.find(({ name }) => name === failed) ?? cases[0]!;
}

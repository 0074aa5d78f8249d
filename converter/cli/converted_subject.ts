import { relative } from 'node:path';
import { weightsLink, type Link } from '../../verify/links.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import type { ConvertResult } from '../compile/convert.ts';
import { defaultOut, type ConvertOptions } from '../compile/convert_options.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { WeightsDiffer } from '../compile/weights_differ.ts';
import type { ErrorReport } from '../errors.ts';
import type { Subject } from '../report/subject.ts';

type Outcome = { readonly result: ConvertResult } | { readonly error: unknown; readonly told: ErrorReport };

/** What reports of a conversion tell of: its verification, passed or not, or what stopped it. */
export function convertedSubject(options: ConvertOptions, outcome: Outcome): Subject {
  const out = 'result' in outcome ? outcome.result.out : (options.out ?? defaultOut(options));
  const bundle = relative(process.cwd(), out) || out;
  if ('result' in outcome) return { bundle, report: bothReports(outcome.result) };
  const { error, told } = outcome;
  if (error instanceof VerificationFailed) return { bundle, report: error.report };
  if (error instanceof WeightsDiffer) return { bundle, report: ofWeights(error, options) };
  return { bundle, error: told };
}

/** The comparison with the checkpoint and that with a recording as one; without either there is nothing to tell. */
function bothReports({ verification, original }: ConvertResult): VerifyReport {
  if (!verification || !original) return (verification ?? original)!;
  const named = original.checks.map((check) => ({ ...check, case: `${check.case} (recorded)` }));
  return {
    ...verification,
    checks: [...verification.checks, ...named],
    seconds: verification.seconds + original.seconds,
    ...(original.recorded && { recorded: original.recorded }),
  };
}

/** Weights that are not the checkpoint's: nothing was run. */
function ofWeights({ report: weights }: WeightsDiffer, { precision }: ConvertOptions): VerifyReport {
  const untried: Link = { verdict: 'not tried', reason: 'the weights differ' };
  return {
    passed: false,
    candidate: 'the bundle, which was not run',
    reference: 'the weights of the checkpoint',
    precision,
    checks: [],
    links: { weights: weightsLink(weights), program: untried, original: untried },
    weights,
    greedyDifferences: [],
    seconds: 0,
  };
}

import type { Runner } from '../backends/backend.ts';
import type { ProgramMetadata } from '../ir/graph.ts';
import type { VerifyCase } from './cases.ts';
import type { Check } from './check.ts';
import { compareStages, firstBehindHeld, type Phase, type StageDifference, type StageNames } from './divergence.ts';
import type { Recorded } from './recording.ts';
import { runCase, type Outcome } from './run_case.ts';
import type { Tolerances } from './tolerances.ts';

/** The first place where the candidate leaves the reference. */
export interface Divergence {
  readonly case: string;
  readonly phase: Phase | 'greedy';
  /** `vit.1`, `image_features`, `lm.0`, ...; `logits` or `embeddings` when every stage before them agrees. */
  readonly stage: string;
  readonly metric: 'relativeL2';
  readonly value: number;
  readonly limit: number;
  /** Every compared stage, in order: how the error grows. */
  readonly stages: readonly StageDifference[];
}

/** How far each stage of a case is off: where the error of a bundle grows. */
export interface StageErrors {
  readonly case: string;
  /** Relative L2 from which a stage counts as diverging. */
  readonly limit: number;
  /** In the order in which values flow. */
  readonly stages: readonly StageDifference[];
}

/** Two sides of a case. */
export interface Sides {
  readonly candidate: Runner;
  readonly reference?: Runner | Recorded;
  readonly metadata: ProgramMetadata;
  /** Where to look; absent: nowhere. */
  readonly stages?: StageNames;
}

/** Compares every stage of a case, running both sides again where they ran without stages; undefined: none is known. */
export async function stageErrors(
  { candidate, reference, metadata, stages }: Sides,
  verifyCase: VerifyCase,
  { outcome, wanted }: { readonly outcome: Outcome; readonly wanted: Outcome },
  tolerances: Tolerances,
): Promise<StageErrors | undefined> {
  if (!stages) return undefined;
  const again = { ...verifyCase, maxNewTokens: 0 };
  const theirs =
    candidate.inParts || !reference || 'outcomes' in reference
      ? wanted
      : await runCase({ runner: reference, metadata }, again, { stages });
  const sought = candidate.seeksStages && theirs.stages ? { given: theirs.stages } : {};
  const ours = candidate.inParts
    ? outcome
    : await runCase({ runner: candidate, metadata }, again, { stages, ...sought });
  if (!ours.stages || !theirs.stages) return undefined;
  const compared = compareStages(verifyCase, ours.stages, theirs.stages, stages, tolerances);
  if (compared.length === 0) return undefined;
  return { case: verifyCase.name, limit: tolerances.stage.atMost ?? Infinity, stages: compared };
}

/** Finds the first stage that is off. */
export async function locate(
  sides: Sides,
  verifyCase: VerifyCase,
  outcomes: { readonly outcome: Outcome; readonly wanted: Outcome },
  tolerances: Tolerances,
  failed: Check,
): Promise<Divergence | undefined> {
  const errors = await stageErrors(sides, verifyCase, outcomes, tolerances);
  if (!errors) return undefined;
  const { limit, stages: compared } = errors;
  const first = sides.candidate.seeksStages ? firstBehindHeld(compared) : compared.find(({ passed }) => !passed);
  if (first)
    return {
      case: verifyCase.name,
      phase: first.phase,
      stage: first.stage,
      metric: 'relativeL2',
      value: first.relativeL2,
      limit,
      stages: compared,
    };
  return {
    case: verifyCase.name,
    ...placeOfOutput(failed.output),
    metric: 'relativeL2',
    value: failed.metrics.relativeL2 ?? Number.NaN,
    limit,
    stages: compared,
  };
}

function placeOfOutput(output: string): { phase: Divergence['phase']; stage: string } {
  if (output === 'image_features') return { phase: 'vision', stage: output };
  const stage = output.endsWith('embeddings') ? 'embeddings' : 'logits';
  return { phase: output.startsWith('prefill') ? 'prefill' : output.startsWith('suffix') ? 'suffix' : 'greedy', stage };
}

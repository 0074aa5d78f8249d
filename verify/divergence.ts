import type { Program } from '../ir/graph.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { checkValues } from './check.ts';
import type { CaseStages } from './run_case.ts';
import type { Bound, Tolerances } from './tolerances.ts';

/** Stages of each graph, in order: where values are compared when outputs differ. */
export type StageNames = Readonly<Record<string, readonly string[]>>;

/** Names of the stages of each graph, in order. */
export function stageNames({ graphs }: Program): StageNames {
  return Object.fromEntries(graphs.map((graph) => [graph.name, graph.stages.map(({ name }) => name)]));
}

export type Phase = 'vision' | 'prefill' | 'suffix' | 'masks';

/** How far one intermediate value is off. */
export interface StageDifference {
  readonly phase: Phase;
  readonly stage: string;
  readonly relativeL2: number;
  readonly maxAbs: number;
  readonly passed: boolean;
  /** Indices of the worst element. */
  readonly at?: readonly number[];
}

/** Every stage that both sides have, in the order in which values flow. */
export function compareStages(
  verifyCase: VerifyCase,
  candidate: CaseStages,
  reference: CaseStages,
  names: StageNames,
  { stage: bound }: Pick<Tolerances, 'stage'>,
): StageDifference[] {
  const finite: Bound = { metric: 'nonFinite', atMost: 0, reason: 'as for outputs' };
  const valid = Array.from(verifyCase.attentionMask.data, (m) => m !== 0);
  const phases = [
    ['vision', names['vision_encoder'] ?? [], undefined],
    ['prefill', names['decoder'] ?? [], valid],
    ['suffix', names['decoder'] ?? [], undefined],
  ] as const;
  return phases.flatMap(([phase, stages, mask]) =>
    stages.flatMap((stage) => {
      const [a, b] = [candidate[phase][stage], reference[phase][stage]] as readonly [
        Tensor | undefined,
        Tensor | undefined,
      ];
      if (!a || !b) return [];
      const { metrics, passed, at } = checkValues(
        { case: verifyCase.name, output: stage },
        a,
        b,
        [bound, finite],
        mask ? { valid: mask } : {},
      );
      return [
        {
          phase,
          stage,
          relativeL2: metrics.relativeL2 ?? Number.NaN,
          maxAbs: metrics.maxAbs ?? Number.NaN,
          passed,
          ...(at && { at }),
        },
      ];
    }),
  );
}

/**
 * The first stage that is off, where stages were looked for by their values: what a phase computes right proves all
 * before it in that phase, even what was not found in a form that could be told.
 */
export function firstBehindHeld(compared: readonly StageDifference[]): StageDifference | undefined {
  for (const phase of ['vision', 'prefill', 'suffix'] as const) {
    const own = compared.filter((stage) => stage.phase === phase);
    const first = own[own.findLastIndex(({ passed }) => passed) + 1];
    if (first) return first;
  }
  return undefined;
}

import type { Program } from '../../ir/graph.ts';
import { elementCount } from '../../ir/tensor.ts';

/** What bundles are compared with: the evaluator, or an fp32 bundle in its runtime where that takes too long. */
export const REFERENCE_KINDS = ['auto', 'evaluator', 'bundle'] as const;
export type ReferenceKind = (typeof REFERENCE_KINDS)[number];

/**
 * Multiply-accumulates that the evaluator does in a second: fixtures/shapes, 129 million in 0.9 to 1.2 s on one core of
 * the machine this was written on.
 */
const EVALUATOR_RATE = 1.2e8;
/**
 * The same where its products are ONNX Runtime's: a 3B's 2044 billion in 124 s on two cores (docs/verification.md), on
 * the safe side.
 */
const FAST_RATE = 1e10;
/** What a case takes by those however small the model is: arithmetic that is no product, and what is sent about. */
const FAST_SECONDS = 0.5;
/** As long as people wait for a table. */
const PATIENCE_SECONDS = 15 * 60;
/**
 * Cases on which an fp32 bundle is compared with the evaluator where that is affordable: they differ in prompt and in
 * length.
 */
const CHECKED_CASES = 3;
/** Text of a prompt and tokens of an answer, for the estimate. */
const USUAL_TOKENS = 20;

export interface ReferencePlan {
  readonly kind: 'evaluator' | 'bundle';
  readonly why: string;
  /** For a bundle: on how many cases it is compared with the evaluator. */
  readonly checkedCases: number;
}

/**
 * Seconds that the evaluator takes for one case: every weight meets every position of its tower; what attention adds is
 * small.
 */
export function evaluatorSeconds({ graphs, metadata: { imageTokens } }: Program, isFast: boolean): number {
  const weights = (name: string) =>
    graphs
      .filter((graph) => graph.name === name)
      .reduce(
        (total, { constants }) =>
          total + constants.reduce((sum, c) => sum + (c.kind === 'weight' ? elementCount(c.data.shape) : 0), 0),
        0,
      );
  const products = weights('vision_encoder') * imageTokens + weights('decoder') * (imageTokens + USUAL_TOKENS);
  return isFast ? Math.min(products / EVALUATOR_RATE, FAST_SECONDS + products / FAST_RATE) : products / EVALUATOR_RATE;
}

/** Decides by size, unless it is told. `checkedCases` overrides how many cases of a bundle are checked. */
export function planReference(
  program: Program,
  {
    wanted,
    cases,
    checkedCases,
    isFast = false,
  }: {
    readonly wanted: ReferenceKind;
    readonly cases: number;
    readonly checkedCases?: number | undefined;
    /** Whether its products are ONNX Runtime's. */
    readonly isFast?: boolean;
  },
): ReferencePlan {
  const seconds = evaluatorSeconds(program, isFast);
  const estimate = `the evaluator takes about ${durationText(seconds)} a case`;
  const kind = wanted === 'auto' ? (seconds * cases <= PATIENCE_SECONDS ? 'evaluator' : 'bundle') : wanted;
  if (kind === 'evaluator') return { kind, why: wanted === 'auto' ? estimate : 'asked for', checkedCases: 0 };
  const affordable = Math.min(CHECKED_CASES, Math.floor(PATIENCE_SECONDS / seconds));
  return {
    kind,
    why: wanted === 'auto' ? `${estimate}, ${durationText(seconds * cases)} for ${cases}` : 'asked for',
    checkedCases: Math.min(cases, checkedCases ?? affordable),
  };
}

/** `0.9 s`, `25 min`, `2.1 h`: two digits. */
function durationText(seconds: number): string {
  const [value, unit] = seconds < 90 ? [seconds, 's'] : seconds < 5400 ? [seconds / 60, 'min'] : [seconds / 3600, 'h'];
  return `${value < 10 ? value.toPrecision(2) : Math.round(value)} ${unit}`;
}

import type { DeviceFacts } from '../../backends/device_facts.ts';
import type { RangeFinding } from '../../ir/observe/f16_range.ts';
import type { Help } from '../../verify/tolerances.ts';
import type { DistributionMetrics } from './distribution_tally.ts';
import type { GreedyVerdict } from './greedy_match.ts';
import type { StageNoise } from './stage_noise.ts';
import type { Verdict } from './targets.ts';
import type { Variant } from './variant.ts';

/** What `pgconv quality --json` prints: numbers that JSON does not have are written as strings. */
export interface QualityReport {
  readonly tool: { readonly name: string; readonly version: string };
  /** As it was given. */
  readonly checkpoint: readonly string[];
  /** `paligemma-3b-224`, or sizes. */
  readonly model: string;
  /** Elements of all weights, a tied table once. */
  readonly parameters: number;
  readonly cases: CasesSummary;
  readonly reference: ReferenceSummary;
  /** In the order of size, the largest first. */
  readonly variants: readonly VariantResult[];
  /** What could not be converted or run. */
  readonly failures: readonly VariantFailure[];
  /** Undefined when nothing was computed by the evaluator. */
  readonly ranges?: RangesSummary;
  readonly passed: boolean;
}

export interface CasesSummary {
  /** A path as it was given, or `built-in`. */
  readonly source: string;
  readonly count: number;
  /** Of how many is known what is right. */
  readonly withTruth: number;
  /** Of how many masks are judged; undefined for none. */
  readonly withMasks?: number;
  /** Teacher-forced positions: text of the prompts, and the reference's answers. */
  readonly positions: number;
}

export interface ReferenceSummary {
  readonly kind: 'evaluator' | 'bundle';
  readonly description: string;
  /** Why it is this one, with the estimate that decided. */
  readonly why: string;
  /** For a bundle: how it was compared with the evaluator. */
  readonly checked?: { readonly cases: number; readonly maxAbsLogit: number; readonly sameTop1OffTies: number };
  /** Recorded answers that the reference gives too, ties aside. */
  readonly recorded?: { readonly same: number; readonly of: number };
  readonly tasks: TaskMetrics;
}

/** Shares are from 0 to 1; what no case has is undefined. */
export interface TaskMetrics {
  /** Answers that are what the original answered, character by character. */
  readonly sameText: number;
  /** Answers of which is known what is right, and those that are. */
  readonly judged?: number;
  readonly right?: number;
  /** Mean over the boxes that the original told of the best overlap (IoU) of a box of the same label. */
  readonly boxIou?: number;
  /** The same over the boxes that are right. */
  readonly boxIouTruth?: number;
  /** Mean over the cases with true masks of the overlap (IoU) with the masks of the original: `maskOverlap`. */
  readonly maskIou?: number;
  /** The same with the masks that are right. */
  readonly maskIouTruth?: number;
}

export interface Answer {
  readonly case: string;
  readonly prompt: string;
  readonly reference: string;
  readonly answer: string;
  readonly verdict: GreedyVerdict;
  readonly truth?: string;
  /** The recorded smallest lead of the original over its runner-up. */
  readonly minMargin?: number;
}

export interface VariantResult extends Variant, DistributionMetrics {
  /** `onnxruntime-node 1.30.0 cpu`. */
  readonly runtime: string;
  /** Where it ran. */
  readonly device?: DeviceFacts;
  /** What its codes were chosen by: decides which targets it has. */
  readonly help: Help;
  /** Of the whole bundle. */
  readonly bytes: number;
  /** Of weights with their scales and zero points. */
  readonly weightBytes: number;
  readonly bitsPerWeight: number;
  readonly greedy: Readonly<Record<GreedyVerdict, number>>;
  readonly tasks: TaskMetrics;
  /** Answers right of the reference less answers right of this, in percentage points; undefined without truth. */
  readonly taskDrop?: number;
  /** Informative: decoding alone, one row at a time, on whatever the machine was doing. */
  readonly tokensPerSecond: number;
  readonly stages: readonly StageNoise[];
  /** SNR in dB below which a stage counts as diverging. */
  readonly stageLimit: number;
  readonly firstDiverging?: StageNoise;
  readonly steepest?: StageNoise & { readonly drop: number };
  readonly verdicts: readonly Verdict[];
  readonly passed: boolean;
  /** Those that are not the reference's. */
  readonly different: readonly Answer[];
}

/** A bundle that could not be made, or does not run. */
export interface VariantFailure extends Variant {
  readonly code: string;
  readonly message: string;
}

export interface RangesSummary {
  readonly cases: number;
  /** Values that a cast to f16 would round, in the order in which they are computed. */
  readonly values: readonly { readonly graph: string; readonly value: string; readonly absMax: number }[];
  /** What comes near the limit of f16, is lost to it or is not finite. */
  readonly findings: readonly RangeFinding[];
}

import { bytesText } from '../../backends/bytes_text.ts';
import type { CasesSummary, QualityReport, VariantResult } from './report.ts';
import type { TargetMetric } from './targets.ts';

/** One column of the table of variants: the same on a terminal, in HTML and in Markdown. */
export interface Column {
  readonly title: string;
  /** What it is, in a sentence. */
  readonly about: string;
  readonly text: (variant: VariantResult) => string;
  /** The targets that its values are judged by. */
  readonly judgedBy: readonly TargetMetric[];
  /** Whether it is there; default always. */
  readonly isFor?: (cases: CasesSummary) => boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'dtype', about: 'what was asked for', text: ({ label }) => label, judgedBy: [] },
  { title: 'size', about: 'of the whole bundle', text: ({ bytes }) => bytesText(bytes), judgedBy: [] },
  {
    title: 'bits per weight',
    about: 'bytes of weights, scales and zero points in the bundle, by the parameters of the model',
    text: ({ bitsPerWeight }) => bitsPerWeight.toFixed(2),
    judgedBy: [],
  },
  {
    title: 'mean KLD',
    about: 'KL divergence of the next-token distribution from f32, in nats, over all positions; ± its standard error',
    text: ({ meanKld, meanKldError }) => `${scientific(meanKld)} ±${scientific(meanKldError)}`,
    judgedBy: ['meanKld'],
  },
  { title: '99 % KLD', about: 'its 99th percentile', text: ({ kld99 }) => scientific(kld99), judgedBy: [] },
  { title: 'max KLD', about: 'its largest', text: ({ maxKld }) => scientific(maxKld), judgedBy: [] },
  {
    title: 'same top-1',
    about: 'positions with the most likely token of f32, ties not forgiven',
    text: ({ sameTop1 }) => percent(sameTop1),
    judgedBy: ['sameTop1', 'sameTop1OffTies'],
  },
  {
    title: 'RMS Δp',
    about: 'root mean square of the change of probability of the token that follows',
    text: ({ rmsDeltaP }) => percent(rmsDeltaP),
    judgedBy: [],
  },
  {
    title: 'max Δ logit',
    about: 'largest difference of a logit',
    text: ({ maxAbsLogit }) => scientific(maxAbsLogit),
    judgedBy: ['maxAbsLogit'],
  },
  {
    title: 'greedy match',
    about: 'answers with the tokens of f32; + those that part at a tie',
    text: ({ greedy: { same, tie, different } }) =>
      `${share(same, same + tie + different)}${tie > 0 ? ` + ${tie}` : ''}`,
    judgedBy: ['greedyDifferent'],
  },
  {
    title: 'same answer',
    about: 'answers with the text of the original',
    text: ({ tasks }) => percent(tasks.sameText),
    judgedBy: [],
  },
  {
    title: 'right',
    about: 'answers that are right; in brackets, what is lost against the original, in points',
    text: ({ tasks: { right, judged }, taskDrop }) =>
      right === undefined || judged === undefined
        ? ''
        : `${percent(right / judged)} (${signed(taskDrop ?? Number.NaN)})`,
    judgedBy: ['taskDrop'],
  },
  {
    title: 'box IoU',
    about: 'mean best overlap with the boxes of the original / with those that are right',
    text: ({ tasks: { boxIou, boxIouTruth } }) => [boxIou, boxIouTruth].flatMap((x) => x?.toFixed(3) ?? []).join(' / '),
    judgedBy: [],
  },
  {
    title: 'mask IoU',
    about:
      'mean overlap with the masks of the original / with those that are right; an object missing or too many is 0',
    text: ({ tasks: { maskIou, maskIouTruth } }) =>
      [maskIou, maskIouTruth].flatMap((x) => x?.toFixed(3) ?? []).join(' / '),
    judgedBy: ['maskDrop'],
    isFor: ({ withMasks }) => withMasks !== undefined,
  },
  {
    title: 'tokens/s',
    about: 'decoding, on the machine of this run and beside whatever else it did: informative',
    text: ({ tokensPerSecond }) => (tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : tokensPerSecond.toFixed(0)),
    judgedBy: [],
  },
  {
    title: 'targets',
    about: 'those of docs/precision-targets.md',
    text: ({ passed }) => (passed ? 'met' : 'MISSED'),
    judgedBy: [],
  },
];

/** Those of a report. */
export function columnsOf({ cases }: Pick<QualityReport, 'cases'>): readonly Column[] {
  return COLUMNS.filter(({ isFor }) => isFor?.(cases) ?? true);
}

/** Whether a target that this column shows is missed. */
export function misses({ judgedBy }: Column, { verdicts }: VariantResult): boolean {
  return verdicts.some(({ metric, passed }) => !passed && judgedBy.includes(metric));
}

/** `1.23e-7`, `0`. */
export function scientific(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(2);
}

/** A share of 1 as a percentage, such as `99.84 %`. */
export function percent(value: number): string {
  return `${(100 * value).toFixed(2)} %`;
}

function share(part: number, whole: number): string {
  return `${part}/${whole}`;
}

/** What was lost, as a change: `-0.5`, `±0`. */
function signed(drop: number): string {
  return drop === 0 ? '±0' : `${drop > 0 ? '-' : '+'}${Math.abs(drop).toFixed(1)}`;
}

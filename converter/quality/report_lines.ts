import { scientific } from './columns.ts';
import type { QualityReport, VariantResult } from './report.ts';

/** What was measured against what, in sentences: they stand above every form of the report. */
export function headLines({
  checkpoint,
  model,
  parameters,
  cases,
  reference,
  variants,
}: QualityReport): readonly string[] {
  const { checked, recorded, tasks } = reference;
  return [
    `${checkpoint.join(', ')}: ${model}, ${parameters.toLocaleString('en')} parameters.`,
    `${cases.count} cases (${cases.source}), ${cases.positions} teacher-forced positions: the text of each prompt, and the original's answer.`,
    `Reference: ${reference.kind === 'evaluator' ? reference.description : `an fp32 bundle in ${reference.description}`} (${reference.why})${checked ? `; on ${checked.cases} cases its logits are within ${scientific(checked.maxAbsLogit)} of the evaluator's` : ''}${
      recorded ? `; it gives ${recorded.same} of ${recorded.of} recorded answers token by token` : ''
    }${tasks.right === undefined ? '' : `; ${tasks.right} of ${tasks.judged} of its answers are right`}${
      tasks.maskIouTruth === undefined
        ? ''
        : `; mIoU of its masks is ${tasks.maskIouTruth.toFixed(3)} on ${cases.withMasks} cases`
    }.`,
    ...(variants.length === 0
      ? []
      : [`Measured in: ${[...new Set(variants.map(({ runtime }) => runtime))].join('; ')}.`]),
  ];
}

/** What each missed target says, and what could not be measured. */
export function missLines({ variants, failures }: QualityReport): readonly string[] {
  return [
    ...variants.flatMap(({ label, verdicts, nonFinite }) => [
      ...verdicts
        .filter(({ passed }) => !passed)
        .map(
          ({ metric, value, atMost, atLeast, reason }) =>
            `${label}: ${metric} is ${scientific(value)}, ${atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`} is the target (${reason})`,
        ),
      ...(nonFinite > 0 ? [`${label}: ${nonFinite} logits are not finite`] : []),
    ]),
    ...failures.map(({ label, message }) => `${label}: not measured: ${message}`),
  ];
}

/** Where the error of a variant grows. */
export function stageLine({ label, firstDiverging: first, steepest, stageLimit }: VariantResult): string {
  const place = ({ phase, stage }: { phase: string; stage: string }) =>
    `${stage} (${phase === 'suffix' ? 'answer' : phase})`;
  const beginning = first
    ? `${label}: the first stage below ${stageLimit.toFixed(0)} dB is ${place(first)} at ${first.snr.toFixed(1)} dB`
    : `${label}: every stage is above ${stageLimit.toFixed(0)} dB`;
  return steepest
    ? `${beginning}; the steepest fall is ${steepest.drop.toFixed(1)} dB at ${place(steepest)}`
    : beginning;
}

/** What ranges say, in a line. */
export function rangeLine({ ranges }: QualityReport): string | undefined {
  if (!ranges) return undefined;
  const largest = ranges.values.reduce((best, range) => (range.absMax > best.absMax ? range : best), {
    graph: '',
    value: 'none',
    absMax: 0,
  });
  const found =
    ranges.findings.length === 0
      ? 'nothing comes near it'
      : `${ranges.findings.length} come near it or are lost, ${ranges.findings.filter(({ kept }) => kept).length} of which stay f32 after --calibrate`;
  return `activations that fp16 rounds: the largest is ${largest.absMax.toPrecision(4)} (${largest.graph} ${largest.value}), the limit is 65504: ${found}`;
}

import { deviceLine } from '../backends/device_facts.ts';
import { bisectionText } from './bisect/report.ts';
import type { BoundVerdict, Check } from './check.ts';
import { weightsLines } from './weights/report.ts';
import { figureTexts } from './figure_texts.ts';
import { listedLines } from './listed_lines.ts';
import type { StageErrors } from './locate.ts';
import type { MetricName } from './tolerances.ts';
import type { VerifyReport } from './verify.ts';

/* What a report of a verification says, in lines: the same on a terminal, in HTML, in Markdown and in JUnit's XML. */

/** Metrics that every form of the report shows of a comparison, with the titles of their columns. */
export const SHOWN_METRICS: readonly (readonly [MetricName, string])[] = [
  ['maxAbs', 'max abs'],
  ['relativeL2', 'rel L2'],
  ['cosine', 'cosine'],
  ['meanKld', 'mean KLD'],
  ['sameTop1', 'same top-1'],
];

/** What was held against what. */
export function subjectLine({ candidate, reference, original, precision }: VerifyReport): string {
  return `${candidate} against ${[reference, original].filter(Boolean).join(' and ')}, ${precision}`;
}

/** Where it ran; nothing where that is not known. */
export function deviceLines({ device }: VerifyReport): readonly string[] {
  return device ? [`device: ${deviceLine(device)}`] : [];
}

/** The verdict of all. */
export function verdictLine({ passed, checks, seconds, weights, baseline }: VerifyReport): string {
  const beside = [
    ...(weights?.passed === false ? ['weights that are not the checkpoint’s'] : []),
    ...(baseline?.passed === false ? ['figures that are worse than the baseline'] : []),
  ];
  const also = beside.length > 0 ? `, and ${beside.join(' and ')}` : '';
  const held = checks.filter((check) => check.passed).length;
  return `verification ${passed ? 'passed' : 'FAILED'}: ${held} of ${checks.length} checks held, in ${seconds.toFixed(1)} s${also}`;
}

/** Of a comparison, what `SHOWN_METRICS` names; empty where it was not measured. */
export function metricTexts({ metrics }: Check): readonly string[] {
  return SHOWN_METRICS.map(([metric]) => metricText(metric, metrics[metric]));
}

/** `99.50 %`, `0.9999999`, `1.2e-7`. */
export function metricText(metric: MetricName, value: number | undefined): string {
  if (value === undefined) return '';
  if (metric === 'sameTop1') return `${(100 * value).toFixed(2)} %`;
  return metric === 'cosine' ? value.toFixed(7) : numberText(value);
}

/** Two digits, since bounds have one. */
export function numberText(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(1);
}

/** Each bound that a comparison misses, and below, once each and by number, why these bounds stand. */
export function failureLines({ checks }: VerifyReport): readonly string[] {
  const reasons: string[] = [];
  const numberOf = (reason: string) => {
    if (!reasons.includes(reason)) reasons.push(reason);
    return reasons.indexOf(reason) + 1;
  };
  const lines = checks.filter(({ passed }) => !passed).flatMap((check) => linesOfFailure(check, numberOf));
  return [...lines, ...reasons.map((reason, i) => `[${i + 1}] ${reason}`)];
}

function linesOfFailure(check: Check, numberOf: (reason: string) => number): readonly string[] {
  const where = `${check.case}, ${check.output}${check.at ? ` at [${check.at.join(', ')}]` : ''}`;
  const lines = check.bounds
    .filter(({ passed }) => !passed)
    .map((bound) => `failed: ${where}: ${boundText(bound)} [${numberOf(bound.reason)}]`);
  if (check.note) lines.push(`${lines.length === 0 ? 'failed' : 'note'}: ${where}: ${check.note}`);
  return lines;
}

function boundText(bound: BoundVerdict): string {
  const { name, value, limit } = boundWords(bound);
  return `${name} is ${value}, ${limit} is allowed`;
}

/** A figure and its limit, told apart. */
function boundWords({ metric, value, atMost, atLeast }: BoundVerdict) {
  const { name, texts, side } = figureTexts(metric, [value, (atMost ?? atLeast)!]);
  return { name, value: texts[0]!, limit: `at ${side(atMost === undefined ? 'least' : 'most')} ${texts[1]}` };
}

/**
 * Comparisons that fail in a line each, as many as anybody reads, without why their limits stand: for reports that have
 * those elsewhere.
 */
export function failedChecks({ checks }: VerifyReport): readonly string[] {
  return listedLines(checks.filter(({ passed }) => !passed).map(failedLine), 'comparisons that failed');
}

function failedLine({ case: verifyCase, output, at, bounds, note }: Check): string {
  const where = `${verifyCase}, ${output}${at ? ` at [${at.join(', ')}]` : ''}`;
  const missed = bounds
    .filter(({ passed }) => !passed)
    .map(boundWords)
    .map(({ name, value, limit }) => `${name} ${value} (${limit})`);
  return `${where}: ${missed.length > 0 ? missed.join(', ') : (note ?? 'failed')}`;
}

/** What differs first: a weight, a stage, a pass. */
export function firstLines(report: VerifyReport): readonly string[] {
  return [...(report.weights ? weightsLines(report.weights) : []), ...stageLines(report)];
}

/** The first stage that differs, and the pass that changed values. */
export function stageLines({ firstDivergingStage, bisection, passed, links }: VerifyReport): readonly string[] {
  return [
    ...(firstDivergingStage ? [divergenceLine(firstDivergingStage)] : []),
    ...(bisection ? [bisectionText(bisection, passed, links?.weights)] : []),
  ];
}

function divergenceLine(divergence: NonNullable<VerifyReport['firstDivergingStage']>): string {
  const { phase, stage, metric, value, limit, stages } = divergence;
  const before = stages.findIndex((s) => s.phase === phase && s.stage === stage) - 1;
  const last = stages[before];
  const agreed = last ? `; ${last.phase} ${last.stage} still agreed (${numberText(last.relativeL2)})` : '';
  const { texts } = figureTexts(metric, [value, limit]);
  return `first divergence: ${divergence.case}, ${phase}, stage ${stage}: ${metric} ${texts[0]}, limit ${texts[1]}${agreed}`;
}

/** What a careful reader should know of a report that passed, too: ties, and what was taken for granted. */
export function noteLines({ greedyDifferences, notes = [] }: VerifyReport): readonly string[] {
  const ties = greedyDifferences
    .filter(({ tie }) => tie)
    .map(
      (d) =>
        `tie: ${d.case}, row ${d.row}, step ${d.step}: token ${d.candidate} instead of ${d.reference}, which led by ${d.lead.toPrecision(3)}`,
    );
  return [...listedLines(ties, 'ties'), ...notes.map((note) => `note: ${note}`)];
}

/** Every stage of a case, where a report has them. */
export function stagesOf({ firstDivergingStage, stages }: VerifyReport): StageErrors | undefined {
  return firstDivergingStage && firstDivergingStage.stages.length > 0 ? firstDivergingStage : stages;
}

import type { ProgramMetadata } from '../ir/metadata.ts';
import type { Check } from './check.ts';
import { figureTexts } from './figure_texts.ts';
import { PARTS_OUTPUT } from './parts.ts';
import { listedLines } from './listed_lines.ts';
import type { MetricName } from './tolerances.ts';
import type { VerifyReport } from './verify.ts';

/** What was measured of one output of one case. */
export interface Figures {
  readonly case: string;
  readonly output: string;
  readonly metrics: Partial<Readonly<Record<MetricName, number>>>;
}

/**
 * Of which model figures are: what stays when it is trained again. Weights change with each training, and then what a
 * baseline is asked is whether the figures still are what they were; another model has other figures.
 */
const MODEL_FIELDS = [
  'family',
  'variant',
  'imageSize',
  'imageTokens',
  'imageTokenId',
  'vocabSize',
  'layers',
  'kvHeads',
  'headDim',
  'hiddenSize',
  'retrievalWidth',
] as const satisfies readonly (keyof ProgramMetadata)[];

export type MeasuredModel = Pick<ProgramMetadata, (typeof MODEL_FIELDS)[number]>;

/** What figures are of; known before any of them is measured. */
export interface Measured {
  readonly precision: string;
  readonly model: MeasuredModel;
}

/** Figures of a verification that another is held against. */
export interface Baseline extends Measured {
  /** The runtime in which they were measured. */
  readonly candidate: string;
  readonly figures: readonly Figures[];
}

/** A figure that is not what it was, by more than its noise. */
export interface FigureChange {
  readonly case: string;
  readonly output: string;
  readonly metric: MetricName;
  readonly before: number;
  readonly now: number;
  /** The worst that noise explains. */
  readonly allowed: number;
}

/** What became of figures since a baseline. */
export interface BaselineVerdict {
  /** Nothing is worse, and all that was measured is measured still. */
  readonly passed: boolean;
  /** The runtime of the baseline. */
  readonly candidate: string;
  /** Figures that were compared. */
  readonly compared: number;
  readonly worse: readonly FigureChange[];
  readonly better: readonly FigureChange[];
  /** What the baseline has, and was not measured this time. */
  readonly missing: readonly (Pick<FigureChange, 'case' | 'output'> & { readonly metric: MetricName })[];
}

/** What a figure may change by that means nothing: a share of its distance from perfect, and at least so much. */
interface Noise {
  readonly share: number;
  readonly least: number;
}

/**
 * The same bundle on the same CPU gives the same bits, on one thread or on two. Another CPU, GPU or version of a
 * runtime adds in another order, so that each value moves by a few units in the last place of f32. That moves the
 * figures of an f32 bundle, which are such roundings themselves, at will: `least` is twice and more of what they differ
 * by between ONNX Runtime on a CPU and shaders on a software GPU (docs/ci.md). What a bundle of fewer bits errs by is
 * in its weights, which do not move, so of such a figure it is a small `share` only: means move less than what a single
 * value decides, the largest or the 99th percentile.
 */
export const NOISE: Readonly<Record<MetricName, Noise>> = {
  maxAbs: { share: 0.25, least: 1e-4 },
  relativeL2: { share: 0.1, least: 1e-6 },
  cosine: { share: 0.2, least: 1e-12 },
  nonFinite: { share: 0, least: 0 },
  meanKld: { share: 0.2, least: 2e-11 },
  kld99: { share: 0.5, least: 5e-11 },
  maxKld: { share: 0.5, least: 5e-11 },
  // tokens are compared off ties, which is as far as noise reaches
  sameTop1: { share: 0, least: 0 },
};

/** The sizes and names of a model that tell it from others. */
export function measuredModel(metadata: ProgramMetadata): MeasuredModel {
  return Object.fromEntries(
    MODEL_FIELDS.flatMap((field) => (metadata[field] === undefined ? [] : [[field, metadata[field]]])),
  ) as unknown as MeasuredModel;
}

/** In what a baseline is of something else: a sentence each; none where figures may be compared. */
export function differencesOf(before: Measured, now: Measured): readonly string[] {
  return [
    ...(before.precision === now.precision
      ? []
      : [`the baseline is of ${before.precision}, the bundle ${now.precision}`]),
    ...MODEL_FIELDS.filter((field) => before.model[field] !== now.model[field]).map(
      (field) =>
        `${field} is ${before.model[field] ?? 'none'} in the baseline, and ${now.model[field] ?? 'none'} in the bundle`,
    ),
  ];
}

/** The figures of a report. Those of parts are of how it was run, which the machine's memory decides. */
export function figuresOf({ candidate, checks }: VerifyReport): Omit<Baseline, keyof Measured> {
  const figures = checks
    .filter(({ output }) => output !== PARTS_OUTPUT)
    .map((check) => ({ case: check.case, output: check.output, metrics: errorsOf(check) }));
  return { candidate, figures: figures.filter(({ metrics }) => Object.keys(metrics).length > 0) };
}

/** Without distances that have to be there, as between what sees a token and what does not: they are no errors. */
function errorsOf({ metrics, bounds }: Check): Figures['metrics'] {
  const wanted = new Set(bounds.flatMap(({ metric, atLeast }) => (atLeast === undefined ? [] : [metric])));
  return Object.fromEntries(
    Object.entries(metrics).filter(([name]) => isShare(name as MetricName) || !wanted.has(name as MetricName)),
  );
}

/** Holds the figures of a report against those of a baseline. */
export function compareWithBaseline(
  report: VerifyReport,
  baseline: Pick<Baseline, 'candidate' | 'figures'>,
): BaselineVerdict {
  const now = new Map(figuresOf(report).figures.map((figures) => [keyOf(figures), figures.metrics]));
  const worse: FigureChange[] = [];
  const better: FigureChange[] = [];
  const missing: BaselineVerdict['missing'][number][] = [];
  let compared = 0;
  for (const { case: verifyCase, output, metrics } of baseline.figures) {
    const place = { case: verifyCase, output };
    for (const [name, before] of Object.entries(metrics)) {
      const metric = name as MetricName;
      const value = now.get(keyOf(place))?.[metric];
      if (value === undefined) {
        missing.push({ ...place, metric });
        continue;
      }
      compared++;
      const change = { ...place, metric, before, now: value, allowed: valueAt(metric, worstDistance(metric, before)) };
      if (isWorse(metric, value, before)) worse.push(change);
      else if (isWorse(metric, before, value)) better.push(change);
    }
  }
  return {
    passed: worse.length === 0 && missing.length === 0,
    candidate: baseline.candidate,
    compared,
    worse,
    better,
    missing,
  };
}

function keyOf({ case: verifyCase, output }: Pick<Figures, 'case' | 'output'>): string {
  return JSON.stringify([verifyCase, output]);
}

/** Of those that are 1 for the same values, and not 0. */
function isShare(metric: MetricName): boolean {
  return metric === 'cosine' || metric === 'sameTop1';
}

/** How far a figure is from perfect. */
function distanceOf(metric: MetricName, value: number): number {
  return isShare(metric) ? 1 - value : value;
}

function valueAt(metric: MetricName, distance: number): number {
  return isShare(metric) ? 1 - distance : distance;
}

/** How far noise may take a figure from perfect. */
function worstDistance(metric: MetricName, before: number): number {
  const { share, least } = NOISE[metric];
  const distance = distanceOf(metric, before);
  return distance + Math.max(least, share * distance);
}

/** A value that is no number is worse than any. */
function isWorse(metric: MetricName, value: number, before: number): boolean {
  return !(distanceOf(metric, value) <= worstDistance(metric, before));
}

/** The verdict in a line. */
export function baselineTitle({ passed, compared, worse, better, missing }: BaselineVerdict): string {
  const than = `of ${compared} figures ${worse.length} are worse than the baseline by more than their noise`;
  return [
    passed ? `no worse than the baseline: ${compared} figures compared` : than,
    ...(missing.length > 0 ? [`${missing.length} that it has were not measured`] : []),
    ...(better.length > 0 ? [`${better.length} are better`] : []),
  ].join('; ');
}

/** Each figure that is worse or was not measured, so many as can be read. */
export function baselineLines({ worse, missing }: BaselineVerdict): readonly string[] {
  return [
    ...listedLines(worse.map(worseLine), 'figures that are worse'),
    ...listedLines(
      missing.map(
        ({ case: verifyCase, output, metric }) =>
          `not measured: ${verifyCase}, ${output}: ${metric}, which the baseline has`,
      ),
      'figures that were not measured',
    ),
  ];
}

function worseLine({ case: verifyCase, output, metric, before, now, allowed }: FigureChange): string {
  const { name, texts, side } = figureTexts(metric, [now, before, allowed]);
  const worst = side(isShare(metric) ? 'least' : 'most');
  return `worse: ${verifyCase}, ${output}: ${name} is ${texts[0]}, was ${texts[1]}, at ${worst} ${texts[2]} is noise`;
}

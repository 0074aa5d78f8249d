import { agreement, difference, type Difference } from './metrics.ts';
import { coordinates, rowsOf, type Rows, type RowSelection } from './rows.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Bound, MetricName, Tolerances } from './tolerances.ts';

export interface BoundVerdict extends Bound {
  readonly value: number;
  readonly passed: boolean;
}

/** One comparison and its verdict. */
export interface Check {
  readonly case: string;
  /** What was compared: `image_features`, `prefill logits`, ..., or the name of an invariant. */
  readonly output: string;
  readonly passed: boolean;
  readonly metrics: Partial<Record<MetricName, number>>;
  readonly bounds: readonly BoundVerdict[];
  /** Indices of the first element beyond the absolute bound, or of the worst where the bounds are not absolute. */
  readonly at?: readonly number[];
  /** For people: what else there is to know. */
  readonly note?: string;
}

/** A metric that is NaN fails every bound. */
function judge(bound: Bound, value: number): BoundVerdict {
  const passed =
    (bound.atMost === undefined || value <= bound.atMost) && (bound.atLeast === undefined || value >= bound.atLeast);
  return { ...bound, value, passed };
}

/** Metrics held against bounds. A metric that a bound needs and that is not there is NaN, and fails it. */
export function checkOf(
  place: { readonly case: string; readonly output: string },
  metrics: Partial<Record<MetricName, number>>,
  bounds: readonly Bound[],
  rest: Pick<Check, 'at' | 'note'> = {},
): Check {
  const verdicts = bounds.map((bound) => judge(bound, metrics[bound.metric] ?? Number.NaN));
  return { ...place, passed: verdicts.every((v) => v.passed), metrics, bounds: verdicts, ...rest };
}

/** A tensor that does not have the reference's shape: nothing in it can be compared. */
function shapeCheck(
  place: { readonly case: string; readonly output: string },
  candidate: Tensor | undefined,
  reference: Tensor,
): Check | undefined {
  if (candidate && candidate.shape.slice(0, -1).join() === reference.shape.slice(0, -1).join()) return undefined;
  return {
    ...place,
    passed: false,
    metrics: {},
    bounds: [],
    note: candidate
      ? `shape [${candidate.shape.join(', ')}], expected [${reference.shape.join(', ')}]`
      : 'the candidate gave nothing to compare',
  };
}

/** Compares values element by element. */
export function checkValues(
  place: { readonly case: string; readonly output: string },
  candidate: Tensor | undefined,
  reference: Tensor,
  bounds: readonly Bound[],
  selection: RowSelection = {},
): Check {
  const misshapen =
    shapeCheck(place, candidate, reference) ??
    (candidate!.shape.at(-1) === reference.shape.at(-1)
      ? undefined
      : {
          ...place,
          passed: false,
          metrics: {},
          bounds: [],
          note: `rows of ${candidate!.shape.at(-1)}, expected ${reference.shape.at(-1)}`,
        });
  if (misshapen) return misshapen;
  const expected = rowsOf(reference, selection);
  const limits = scaled(bounds, expected);
  const found = difference(rowsOf(candidate!, selection), expected, absoluteBound(limits));
  return checkOf(place, valueMetrics(found), limits, placeOf(found, reference));
}

/**
 * Compares logits: values, distributions and greedy tokens, on the `columns` of the vocabulary and on rows that are not
 * padding. The candidate has these columns and no others, since clients choose among all that there are; a recording
 * may have more.
 */
export function checkLogits(
  place: { readonly case: string; readonly output: string },
  candidate: Tensor | undefined,
  reference: Tensor,
  { logits: bounds, tieMargin }: Tolerances,
  selection: RowSelection & { readonly columns: number },
): Check {
  const misshapen =
    shapeCheck(place, candidate, reference) ??
    (candidate!.shape.at(-1) === selection.columns
      ? undefined
      : {
          ...place,
          passed: false,
          metrics: {},
          bounds: [],
          note: `${candidate!.shape.at(-1)} columns, the vocabulary has ${selection.columns}`,
        });
  if (misshapen) return misshapen;
  const columns = Math.min(selection.columns, reference.shape.at(-1)!);
  const [a, b] = [rowsOf(candidate!, { ...selection, columns }), rowsOf(reference, { ...selection, columns })];
  const limits = scaled(bounds, b);
  const found = difference(a, b, absoluteBound(limits));
  const { meanKld, kld99, maxKld, sameTop1, ties } = agreement(a, b, marginWithin(limits, tieMargin));
  const note = ties > 0 ? { note: `${ties} of ${b.starts.length} greedy tokens differ within the tie margin` } : {};
  return checkOf(place, { ...valueMetrics(found), meanKld, kld99, maxKld, sameTop1 }, limits, {
    ...placeOf(found, reference),
    ...note,
  });
}

/**
 * The lead over another token that is none: two logits that each err by no more than their bound change places within
 * twice that.
 */
function marginWithin(limits: readonly Bound[], tieMargin: Tolerances['tieMargin']): Tolerances['tieMargin'] {
  const within = limits.find(({ metric }) => metric === 'maxAbs')?.atMost ?? 0;
  return (logit) => Math.max(tieMargin(logit), 2 * within);
}

/** The same for logits that are not compared themselves. */
export function tieMarginFor(
  { logits, tieMargin }: Pick<Tolerances, 'logits' | 'tieMargin'>,
  reference: Rows,
): Tolerances['tieMargin'] {
  return marginWithin(scaled(logits, reference), tieMargin);
}

/** Bounds that are a share of the largest magnitude of the reference, as numbers. */
function scaled(bounds: readonly Bound[], reference: Rows): readonly Bound[] {
  if (bounds.every(({ ofLargest }) => ofLargest === undefined)) return bounds;
  const largest = reference.starts.reduce((most, start) => {
    for (let c = 0; c < reference.columns; c++) most = Math.max(most, Math.abs(reference.data[start + c]!) || 0);
    return most;
  }, 0);
  return bounds.map(({ ofLargest = 0, ...bound }) =>
    bound.atMost === undefined || !(largest < Infinity)
      ? bound
      : { ...bound, atMost: Math.max(bound.atMost, ofLargest * largest) },
  );
}

function absoluteBound(bounds: readonly Bound[]): number {
  return bounds.find(({ metric }) => metric === 'maxAbs')?.atMost ?? Infinity;
}

function valueMetrics({ maxAbs, relativeL2, cosine, nonFinite }: Difference): Partial<Record<MetricName, number>> {
  return { maxAbs, relativeL2, cosine, nonFinite };
}

function placeOf({ first, worst }: Difference, { shape }: Tensor): Pick<Check, 'at'> {
  const flat = first ?? worst;
  return flat === undefined ? {} : { at: coordinates(shape, flat) };
}

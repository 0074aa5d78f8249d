import type { Rows } from './rows.ts';

/** How far a candidate's values are from the reference's, element by element. */
export interface Difference {
  /** Infinity when the candidate has a value that is not finite where the reference has one that is, or another one. */
  readonly maxAbs: number;
  /** ‖candidate - reference‖ / ‖reference‖; 0 for 0 / 0. */
  readonly relativeL2: number;
  /** 1 for equal directions; 1 when both are zero, NaN when values are not finite. */
  readonly cosine: number;
  /** Elements that are not finite in exactly one of the two, or differ though neither is finite. Never ignored. */
  readonly nonFinite: number;
  /** Offset of the largest difference in the reference's data; undefined when all are equal. */
  readonly worst: number | undefined;
  /** Offset of the first element that is further off than `tolerance`. */
  readonly first: number | undefined;
}

function expectAligned(candidate: Rows, reference: Rows): void {
  if (candidate.starts.length === reference.starts.length && candidate.columns === reference.columns) return;
  throw new RangeError(
    `${candidate.starts.length} rows of ${candidate.columns} against ${reference.starts.length} of ${reference.columns}`,
  );
}

/**
 * Differences in float64. `tolerance` (absolute) decides only which element is `first`.
 * @throws RangeError when the rows do not pair up.
 */
export function difference(candidate: Rows, reference: Rows, tolerance = 0): Difference {
  expectAligned(candidate, reference);
  let [maxAbs, squares, candidateSquares, referenceSquares, dot, nonFinite] = [0, 0, 0, 0, 0, 0];
  let worst: number | undefined;
  let first: number | undefined;
  for (let row = 0; row < reference.starts.length; row++) {
    const [a, b] = [candidate.starts[row]!, reference.starts[row]!];
    for (let c = 0; c < reference.columns; c++) {
      const x = candidate.data[a + c]!;
      const y = reference.data[b + c]!;
      let gap = Math.abs(x - y);
      if (!(gap < Infinity)) {
        if (Object.is(x, y)) continue; // NaN and NaN, or the same infinity: the original does that too
        nonFinite++;
        gap = Infinity;
      }
      if (gap > maxAbs) [maxAbs, worst] = [gap, b + c];
      if (gap > tolerance) first ??= b + c;
      squares += gap * gap;
      candidateSquares += x * x;
      referenceSquares += y * y;
      dot += x * y;
    }
  }
  return {
    maxAbs,
    relativeL2: ratio(Math.sqrt(squares), Math.sqrt(referenceSquares)),
    cosine: cosineOf(dot, candidateSquares, referenceSquares),
    nonFinite,
    worst,
    first,
  };
}

function ratio(gap: number, size: number): number {
  return gap === 0 ? 0 : gap / size;
}

function cosineOf(dot: number, a: number, b: number): number {
  return a === 0 && b === 0 ? 1 : dot / Math.sqrt(a * b);
}

/** The greedy choice of one row: its index (the first of equals), its value, and its lead over the runner-up. */
export interface Choice {
  readonly token: number;
  readonly logit: number;
  /** top1 - top2; NaN when a value of the row is NaN, Infinity for one column. */
  readonly margin: number;
}

/** The greedy choice of a row. O(columns). */
export function choose({ data, starts, columns }: Rows, row: number): Choice {
  const start = starts[row]!;
  let token = 0;
  let logit = data[start]!;
  let second = -Infinity;
  let unordered = Number.isNaN(logit);
  for (let c = 1; c < columns; c++) {
    const x = data[start + c]!;
    if (Number.isNaN(x)) unordered = true;
    else if (x > logit || Number.isNaN(logit)) [second, logit, token] = [logit, x, c];
    else if (x > second) second = x;
  }
  return { token, logit, margin: unordered ? Number.NaN : logit - second };
}

/**
 * Kullback–Leibler divergence of the next-token distributions, Σ p·(ln p - ln q) in nats with p the reference's: from
 * logits, by log-softmax in float64. Infinity when a candidate's logit is not finite; 0 at least.
 */
export function klDivergence(candidate: Rows, reference: Rows, row: number): number {
  const [a, b] = [candidate.starts[row]!, reference.starts[row]!];
  const [zq, zp] = [logSumExp(candidate, a), logSumExp(reference, b)];
  let total = 0;
  for (let c = 0; c < reference.columns; c++) {
    const logP = reference.data[b + c]! - zp;
    const p = Math.exp(logP);
    if (p > 0) total += p * (logP - (candidate.data[a + c]! - zq));
  }
  return Number.isNaN(total) ? Infinity : Math.max(0, total);
}

function logSumExp({ data, columns }: Rows, start: number): number {
  let top = -Infinity;
  for (let c = 0; c < columns; c++) top = Math.max(top, data[start + c]!);
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += Math.exp(data[start + c]! - top);
  return top + Math.log(sum);
}

/** How far next-token distributions are from the reference's. */
export interface Agreement {
  readonly meanKld: number;
  /** Its standard error over rows; NaN for fewer than two. */
  readonly meanKldError: number;
  /** The 99th percentile (nearest rank). */
  readonly kld99: number;
  readonly maxKld: number;
  /**
   * Share of rows whose greedy token is the reference's, or one that the reference ranks within the tie margin of it.
   */
  readonly sameTop1: number;
  /** Rows whose greedy tokens differ within the tie margin. */
  readonly ties: number;
  readonly rows: number;
}

/** What agreement is made of: it may be collected over many comparisons before it is summed up. */
export interface RowAgreements {
  readonly divergences: readonly number[];
  readonly same: number;
  readonly ties: number;
}

/**
 * `tieMargin` gets the reference's best logit of a row and says which lead over another token is none.
 * @throws RangeError when the rows do not pair up.
 */
export function compareRows(candidate: Rows, reference: Rows, tieMargin: (logit: number) => number): RowAgreements {
  expectAligned(candidate, reference);
  const divergences = Array.from({ length: reference.starts.length }, (_, row) =>
    klDivergence(candidate, reference, row),
  );
  let [same, ties] = [0, 0];
  for (let row = 0; row < divergences.length; row++) {
    const verdict = compareChoices(choose(candidate, row), reference, row, tieMargin);
    if (verdict !== 'different') same++;
    if (verdict === 'tie') ties++;
  }
  return { divergences, same, ties };
}

/** Of the mean of values; NaN for fewer than two. */
export function standardError(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
  const squares = all.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return all.length < 2 ? Number.NaN : Math.sqrt(squares / (all.length - 1) / all.length);
}

/** Each row of all comparisons counts once. */
export function pooledAgreement(parts: readonly RowAgreements[]): Agreement {
  const divergences = Float64Array.from(parts.flatMap((part) => part.divergences)).toSorted();
  const rows = divergences.length;
  return {
    meanKld: rows === 0 ? 0 : divergences.reduce((sum, x) => sum + x, 0) / rows,
    meanKldError: standardError(divergences),
    kld99: divergences[Math.max(0, Math.ceil(0.99 * rows) - 1)] ?? 0,
    maxKld: divergences.at(-1) ?? 0,
    sameTop1: rows === 0 ? 1 : parts.reduce((sum, part) => sum + part.same, 0) / rows,
    ties: parts.reduce((sum, part) => sum + part.ties, 0),
    rows,
  };
}

/** How far the rows of a candidate agree with those of the reference. */
export function agreement(candidate: Rows, reference: Rows, tieMargin: (logit: number) => number): Agreement {
  return pooledAgreement([compareRows(candidate, reference, tieMargin)]);
}

/**
 * A tie forgives only a token that the reference itself rates within the margin of its best: a margin between its
 * first and second does not excuse a third.
 */
export function compareChoices(
  candidate: Choice,
  reference: Rows,
  row: number,
  tieMargin: (logit: number) => number,
): 'same' | 'tie' | 'different' {
  const best = choose(reference, row);
  if (Number.isNaN(candidate.margin) !== Number.isNaN(best.margin)) return 'different';
  if (candidate.token === best.token) return 'same';
  const gap = best.logit - reference.data[reference.starts[row]! + candidate.token]!;
  return gap < tieMargin(best.logit) ? 'tie' : 'different';
}

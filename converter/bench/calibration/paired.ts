/** What one case gives: a sum over its positions. */
export interface CaseSum {
  readonly sum: number;
  readonly positions: number;
}

/** A mean over positions, with its standard error. */
export interface Mean {
  readonly mean: number;
  /** Over cases: positions of one answer err together. NaN for fewer than two. */
  readonly error: number;
}

/** Of a ratio of sums, to first order (Cochran, Sampling Techniques, 6.4). */
export function meanOverCases(cases: readonly CaseSum[]): Mean {
  const positions = cases.reduce((total, each) => total + each.positions, 0);
  const mean = cases.reduce((total, { sum }) => total + sum, 0) / positions;
  const squares = cases.reduce((total, each) => total + (each.sum - mean * each.positions) ** 2, 0);
  const count = cases.length;
  return { mean, error: count < 2 ? Number.NaN : Math.sqrt((count / (count - 1)) * squares) / positions };
}

/** Of the same cases, what the second gives beyond the first. @throws RangeError when they are not the same */
export function pairedDifference(first: readonly CaseSum[], second: readonly CaseSum[]): Mean {
  if (first.length !== second.length) throw new RangeError(`${first.length} cases against ${second.length}`);
  return meanOverCases(
    second.map(({ sum, positions }, i) => {
      if (positions !== first[i]!.positions) throw new RangeError(`case ${i} has other positions`);
      return { sum: sum - first[i]!.sum, positions };
    }),
  );
}

/** Whether a difference is more than its error; what is not a number is, too. */
export function isBeyondError({ mean, error }: Mean): boolean {
  return !(mean <= error);
}

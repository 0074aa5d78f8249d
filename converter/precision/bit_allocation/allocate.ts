/** One more way to store a group of matrices: what its bundle then has in bytes, and loses. */
export interface Step<S> {
  readonly storage: S;
  /** Beside the group in the fewest bits. */
  readonly bytes: number;
  /** Divergence that is left, in nats. */
  readonly kld: number;
}

/** Matrices that are stored alike. */
export interface Group<S> {
  readonly names: readonly string[];
  /** Divergence of the fewest bits, in nats. */
  readonly kld: number;
  /** Ways that take more bytes, the fewest first. */
  readonly steps: readonly Step<S>[];
}

/** How far to go: bytes that may be added to the fewest bits, or the divergence that may be left. */
export type Goal = { readonly bytes: number } | { readonly kld: number };

export interface Allocation<S> {
  /** Matrices that have more than the fewest bits. */
  readonly storageOf: ReadonlyMap<string, S>;
  readonly bytes: number;
  /** The sum over groups: divergences of small errors add up. */
  readonly kld: number;
}

/**
 * Gives bits where a byte takes away the most divergence, until the goal is met: the greedy way to a multiple-choice
 * knapsack (Sinha and Zoltners, 1979), at most one step away from the best. A step that is too large for what is left
 * of a budget is passed over for smaller ones.
 */
export function allocate<S>(groups: readonly Group<S>[], goal: Goal): Allocation<S> {
  const taken = groups.map(() => -1);
  const kldOf = (index: number, step: number) => groups[index]!.steps[step]?.kld ?? groups[index]!.kld;
  const bytesOf = (index: number, step: number) => groups[index]!.steps[step]?.bytes ?? 0;
  let bytes = 0;
  let kld = groups.reduce((sum, group) => sum + group.kld, 0);
  const isReached = (left: number) => 'kld' in goal && left <= goal.kld;
  while (!isReached(kld)) {
    let best: { index: number; step: number; gain: number } | undefined;
    for (const [index, { steps }] of groups.entries())
      for (let step = taken[index]! + 1; step < steps.length; step++) {
        const cost = bytesOf(index, step) - bytesOf(index, taken[index]!);
        const gained = kldOf(index, taken[index]!) - kldOf(index, step);
        if (gained <= 0 || ('bytes' in goal && bytes + cost > goal.bytes)) continue;
        const gain = gained / Math.max(cost, 1);
        if (!best || gain > best.gain) best = { index, step, gain };
      }
    if (!best) break;
    const { index, step } = best;
    bytes += bytesOf(index, step) - bytesOf(index, taken[index]!);
    kld -= kldOf(index, taken[index]!) - kldOf(index, step);
    taken[index] = step;
  }
  const storageOf = new Map(
    groups.flatMap(({ names, steps }, index) => {
      const step = steps[taken[index]!];
      return step ? names.map((name) => [name, step.storage] as const) : [];
    }),
  );
  return { storageOf, bytes, kld };
}

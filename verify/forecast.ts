import type { VerifyCase } from './cases.ts';

/** Who computes: rates are measured apart, for a runtime is many times as fast as the evaluator. */
export type Side = 'reference' | 'original' | 'candidate';

/** Cases that one side computes together. */
export interface Phase {
  readonly side: Side;
  readonly cases: readonly VerifyCase[];
  /** How many times the side computes a case; default once. */
  readonly times?: (verifyCase: VerifyCase) => number;
  /** What a side does at first beside its work, and is said while nobody knows how fast it is. */
  readonly atFirst?: string;
}

/** Multiplications of one side of a case, by graph. */
export type Costs = Readonly<Record<string, number>>;

/** How far a verification is. */
export interface Progress {
  /** In multiplications, of which `total` are to be done, on all sides together. */
  readonly done: number;
  readonly total: number;
  /** The side, and where it is known the graph. */
  readonly label: string;
  /** Of the whole; absent where nobody knows: until a side has computed for a while, and evenly. */
  readonly secondsLeft?: number;
  /** Whether that is of a part of it: how long the rest takes is not known yet. */
  readonly isLeast?: true;
}

/** A case against itself runs its rows alone, and the rest of it in pieces. */
export const AGAINST_ITSELF = 3;

/** Sides by which others are known that have not run yet: both evaluators, while a bundle's runtime is like nothing. */
const ALIKE: Readonly<Record<Side, readonly Side[]>> = {
  reference: ['reference', 'original'],
  original: ['original', 'reference'],
  candidate: ['candidate'],
};

/** Milliseconds before which a rate is chance. */
const LEAST_MS = 2000;
/** How far two halves of the time may be apart, of which one is to say how long the rest takes. */
const EVEN = 2;
/** Marks that are kept of what goes on. */
const MARKS = 100;
/** Seconds that are worth a word where others come that nobody knows. */
const LEAST_TOLD = 5;

/** What was done at a time. */
interface Mark {
  readonly ms: number;
  readonly work: number;
}

interface Planned extends Phase {
  readonly cost: number;
  readonly costs: Costs;
  /** Of one that is under way: cases that are over, and shares of its graphs. */
  over: number;
  readonly shares: Map<string, number>;
}

/**
 * What a verification has done, and how long what is left will take, by the rate at which each side has computed: where
 * that is not known well, nothing is said.
 */
export class Forecast {
  readonly #costsOf: (verifyCase: VerifyCase) => Costs;
  readonly #now: () => number;
  /** Seconds of a multiplication of sides that have computed evenly. */
  readonly #rates = new Map<Side, number>();
  #marks: Mark[] = [];
  #onProgress: ((progress: Progress) => void) | undefined;
  /** Those of an entry go on side by side. */
  #phases: readonly (readonly Planned[])[] = [];
  /** The entry that is under way; what lies before it is done. */
  #current = -1;
  #began = 0;
  #label: string | undefined;

  /** `costsOf`: of one side of a case. `now` in milliseconds. */
  constructor(costsOf: (verifyCase: VerifyCase) => Costs, now: () => number = () => performance.now()) {
    this.#costsOf = costsOf;
    this.#now = now;
  }

  /** Everything that will be done, in order; phases in one list go on side by side. */
  plan(phases: readonly (readonly Phase[])[], onProgress?: (progress: Progress) => void): void {
    this.#phases = phases.map((together) =>
      together.map((phase) => {
        const costs: Record<string, number> = {};
        for (const each of phase.cases)
          for (const [graph, cost] of Object.entries(this.#costsOf(each)))
            costs[graph] = (costs[graph] ?? 0) + cost * (phase.times?.(each) ?? 1);
        return { ...phase, costs, cost: sum(Object.values(costs)), over: 0, shares: new Map() };
      }),
    );
    this.#onProgress = onProgress;
  }

  /** The next phases begin: those before them are over. */
  begin(): void {
    this.#measure();
    this.#current++;
    this.#began = this.#now();
    this.#marks = [];
    this.#label = undefined;
    this.#tell();
  }

  /** A graph of a side's phase is that far, from 0 to 1. */
  share(side: Side, graph: string, share: number): void {
    const phase = this.#phaseOf(side);
    if (!phase) return;
    this.#label = `${side}, ${graph}`;
    phase.shares.set(graph, Math.max(share, phase.shares.get(graph) ?? 0));
    this.#tell();
  }

  /** A case of a side's phase is over, once. */
  over(side: Side, verifyCase: VerifyCase): void {
    const phase = this.#phaseOf(side);
    if (phase) phase.over += sum(Object.values(this.#costsOf(verifyCase)));
    this.#tell();
  }

  /** All is over. */
  end(): void {
    this.#measure();
    this.#current = this.#phases.length - 1;
    for (const phase of this.#phases.at(-1) ?? []) phase.over = phase.cost;
    this.#tell();
  }

  #phaseOf(side: Side): Planned | undefined {
    return this.#phases[this.#current]?.find((phase) => phase.side === side);
  }

  /** Keeps the rate of what is over, where it says something of what comes. */
  #measure(): void {
    const together = this.#phases[this.#current];
    if (!together) return;
    const rate = this.#evenRate(sum(together.map(({ cost }) => cost)));
    for (const { side } of together)
      if (rate === undefined) this.#rates.delete(side);
      else this.#rates.set(side, rate);
  }

  /**
   * Seconds of a multiplication since the phases under way began, the same for sides that go on side by side. Undefined
   * where they have computed for a moment only, or not evenly: compiling comes first and is no work, and what is told
   * only when it is over tells nothing of its course.
   */
  #evenRate(work: number): number | undefined {
    const ms = this.#now() - this.#began;
    const half = this.#marks.findLast((mark) => mark.ms <= 0.6 * ms);
    if (ms < LEAST_MS || !half || half.ms < 0.3 * ms || half.work === 0 || work <= half.work) return undefined;
    const [first, second] = [half.ms / half.work, (ms - half.ms) / (work - half.work)];
    return Math.max(first / second, second / first) > EVEN ? undefined : ms / 1000 / work;
  }

  #mark(work: number): void {
    const ms = this.#now() - this.#began;
    const last = this.#marks.at(-1);
    if (last?.work === work || (last && ms - last.ms < ms / MARKS)) return;
    this.#marks.push({ ms, work });
  }

  #tell(): void {
    const together = this.#phases[this.#current];
    if (!together || !this.#onProgress) return;
    const worked = sum(together.map(workedOf));
    const current = this.#evenRate(worked);
    this.#mark(worked);
    const left = [
      ...together.map((phase) => ({ side: phase.side, work: phase.cost - workedOf(phase) })),
      ...this.#phases
        .slice(this.#current + 1)
        .flat()
        .map(({ side, cost }) => ({ side, work: cost })),
    ].filter(({ work }) => work > 0);
    const known = left.map(({ side, work }) => ({ work, rate: this.#rateOf(side, together, current) }));
    const secondsLeft = sum(known.map(({ work, rate = 0 }) => work * rate));
    const isLeast = known.some(({ rate }) => rate === undefined);
    const before = this.#phases.slice(0, this.#current).flat();
    this.#onProgress({
      done: sum(before.map(({ cost }) => cost)) + worked,
      total: sum(this.#phases.flat().map(({ cost }) => cost)),
      label: this.#labelOf(together, current !== undefined),
      ...(secondsLeft >= (isLeast ? LEAST_TOLD : 0) && { secondsLeft, ...(isLeast && { isLeast }) }),
    });
  }

  #labelOf(together: readonly Planned[], isKnown: boolean): string {
    const label = this.#label ?? together.map(({ side }) => side).join(' and ');
    const atFirst = isKnown ? [] : together.flatMap((phase) => phase.atFirst ?? []);
    return [label, ...atFirst].join(', ');
  }

  /** Seconds of a multiplication of a side, or of one that computes as it does; undefined: nobody knows. */
  #rateOf(side: Side, together: readonly Planned[], current: number | undefined): number | undefined {
    for (const alike of ALIKE[side]) {
      const own = together.some((phase) => phase.side === alike) ? current : undefined;
      const rate = own ?? this.#rates.get(alike);
      if (rate !== undefined) return rate;
    }
    return undefined;
  }
}

function workedOf({ cost, costs, over, shares }: Planned): number {
  const byGraph = sum([...shares].map(([graph, share]) => share * (costs[graph] ?? 0)));
  return Math.min(cost, Math.max(over, byGraph));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

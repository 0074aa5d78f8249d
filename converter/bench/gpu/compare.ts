import type { Side } from './side.ts';

export const STAGES = ['encode', 'prefill', 'decode'] as const;
export type Stage = (typeof STAGES)[number];

export interface CompareOptions {
  readonly pixels: Float32Array;
  readonly tokens: readonly number[];
  /** Steps that are timed together, since pgconv's are in flight together. */
  readonly steps: number;
  readonly warmUps: number;
  readonly runs: number;
}

export interface SideTimes {
  readonly side: string;
  /** Wall times of each run; of all its steps for `decode`. */
  readonly milliseconds: Readonly<Record<Stage, readonly number[]>>;
  /** Greedy tokens of the last run. */
  readonly tokens: readonly number[];
}

export interface ComparedSide extends SideTimes {
  /** Of the prompt's last token, in the last run. */
  readonly logits: ArrayLike<number>;
}

/**
 * Times of all sides by turns, stage by stage, in an order that turns round from run to run: the speed of a machine
 * that drifts is the same for all. A stage of one begins when that of another has ended.
 */
export async function compareSides(
  sides: readonly Side[],
  { pixels, tokens, steps, warmUps, runs }: CompareOptions,
): Promise<readonly ComparedSide[]> {
  const times = new Map(
    sides.map((side) => [side, { encode: [] as number[], prefill: [] as number[], decode: [] as number[] }]),
  );
  const made = new Map<Side, readonly number[]>();
  const logits = new Map<Side, ArrayLike<number>>();
  const stages: Readonly<Record<Stage, (side: Side) => Promise<void>>> = {
    encode: (side) => side.encode(pixels),
    prefill: async (side) => void logits.set(side, await side.prefill(tokens)),
    decode: async (side) => void made.set(side, await side.decode(steps)),
  };
  for (let run = -warmUps; run < runs; run++)
    for (const stage of STAGES)
      for (const side of run % 2 === 0 ? sides : sides.toReversed()) {
        const started = performance.now();
        await stages[stage](side);
        if (run >= 0) times.get(side)![stage].push(performance.now() - started);
      }
  return sides.map((side) => ({
    side: side.name,
    milliseconds: times.get(side)!,
    tokens: made.get(side)!,
    logits: logits.get(side)!,
  }));
}

/** The value that 95 of 100 do not exceed: of few values nearly the largest. */
export function p95Of(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(0.95 * values.length) - 1]!;
}

import type { Tensor } from './tensor.ts';

/** An input that is an output of an earlier run of the same graph, by its place in the list: a KV cache, say. */
export interface Earlier {
  readonly run: number;
  readonly output: string;
}

/** One of several runs of a graph that are computed together. */
export interface GraphRun {
  readonly inputs: Readonly<Record<string, Tensor | Earlier>>;
  /** Names of outputs to return; default all. What later runs of the list take is there for them all the same. */
  readonly outputs?: readonly string[];
  /** Names of intermediate values to return beside the outputs. */
  readonly stages?: readonly string[];
  /** Stages of another that computes the same: what computes in parts computes each on them as well (`onGiven`). */
  readonly given?: Readonly<Record<string, Tensor>>;
}

/** Whether an input is still to be computed. */
export function isEarlier(input: Tensor | Earlier): input is Earlier {
  return 'run' in input;
}

/** Whether an output is to be returned. */
export function isAsked({ outputs }: GraphRun, name: string): boolean {
  return outputs === undefined || outputs.includes(name);
}

/**
 * Outputs of each run that others of the list are yet to take: caches of a large model, of which each step of a row has
 * its own, are more than all its other values. @param isOpen whether this input of that run is still to be read
 */
export function yetToBeTaken(
  runs: readonly GraphRun[],
  isOpen: (run: number, input: string) => boolean,
): readonly ReadonlySet<string>[] {
  const taken = runs.map(() => new Set<string>());
  for (const [number, { inputs }] of runs.entries())
    for (const [name, input] of Object.entries(inputs))
      if (isEarlier(input) && isOpen(number, name)) taken[input.run]?.add(input.output);
  return taken;
}

import type { Tensor } from './tensor.ts';

/** An input that is an output of an earlier run of the same graph, by its place in the list: a KV cache, say. */
export interface Earlier {
  readonly run: number;
  readonly output: string;
}

/** One of several runs of a graph that are computed together. */
export interface GraphRun {
  readonly inputs: Readonly<Record<string, Tensor | Earlier>>;
  /** Names of intermediate values to return beside the outputs. */
  readonly stages?: readonly string[];
  /** Stages of another that computes the same: what computes in parts computes each on them as well (`onGiven`). */
  readonly given?: Readonly<Record<string, Tensor>>;
}

/** Whether an input is still to be computed. */
export function isEarlier(input: Tensor | Earlier): input is Earlier {
  return 'run' in input;
}

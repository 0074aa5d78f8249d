import type { Graph } from '../graph.ts';
import type { Tensor } from '../tensor.ts';

/** A rewrite of one graph: valid in, valid out. */
export interface Pass {
  readonly name: string;
  readonly doc: string;
  /**
   * What the pass may round: weights that it stores otherwise, or values once more to f32, or to a narrower float.
   * Absent: all values stay the same, bit by bit.
   */
  readonly rounds?: 'weights' | 'f32' | 'f16' | 'bf16';
  /** The same object when nothing matched. */
  run(graph: Graph): Graph;
  /**
   * Of a pass behind which a graph takes other inputs: what they are, for inputs of the graph as it was, which computes
   * the value of a name of them. Absent: the same, as far as the sizes in their types allow.
   */
  inputsBehind?(after: Graph, inputs: Values, valueOf: (name: string) => Promise<Tensor>): Values | Promise<Values>;
}

export type Values = Readonly<Record<string, Tensor>>;

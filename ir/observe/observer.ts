import type { OpName } from '../ops/index.ts';
import type { Tensor } from '../tensor.ts';

/** One value of a graph in one run. */
export interface Observation {
  readonly graph: string;
  /**
   * Name of the value in the graph as it was given, composites included; of the composite's first result for a step
   * inside of it.
   */
  readonly value: string;
  /** The op that made the value, or `input`. */
  readonly op: OpName | 'input';
  /** Set for a step inside of a composite: the primitive that made it. Steps have no names of their own. */
  readonly step?: OpName;
  /** Rounded to its declared dtype. Not to be changed or kept: it is freed after its last use. */
  readonly tensor: Tensor;
}

/**
 * Hears of the inputs of a run, and then of every result, in the order in which they are computed. A promise is waited
 * for: what is observed is written before more is made.
 */
export type Observer = (observation: Observation) => Promise<void> | void;

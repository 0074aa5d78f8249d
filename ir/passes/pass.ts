import type { Graph } from '../graph.ts';

/** A rewrite of one graph: valid in, valid out. */
export interface Pass {
  readonly name: string;
  readonly doc: string;
  /** The same object when nothing matched. */
  run(graph: Graph): Graph;
}

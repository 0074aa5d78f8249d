import { checkGraph } from '../check.ts';
import { IrError } from '../error.ts';
import type { Graph, Program } from '../graph.ts';
import type { Pass } from './pass.ts';

/** One pass that ran over one graph. */
export interface PassRun {
  readonly pass: Pass;
  readonly before: Graph;
  /** The same object as `before` when nothing matched. */
  readonly after: Graph;
}

/** Hears of every pass of a pipeline, in order, when its result was checked. */
export type PassListener = (run: PassRun) => void;

/**
 * Runs passes in order over one graph, checking the graph before the first and after each that changed it.
 * The same object when nothing matched. @throws IrError naming the pass that failed or left an invalid graph.
 */
export function runPasses(graph: Graph, passes: readonly Pass[], onPass?: PassListener): Graph {
  checkGraph(graph);
  return passes.reduce((current, pass) => {
    let result: Graph;
    try {
      result = pass.run(current);
      if (result !== current) checkGraph(result);
    } catch (cause) {
      throw new IrError(
        `pass ${pass.name} on graph ${graph.name}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
    onPass?.({ pass, before: current, after: result });
    return result;
  }, graph);
}

/** Runs passes over every graph of a program. The same object when nothing matched. @throws IrError */
export function runPassesOnProgram(program: Program, passes: readonly Pass[], onPass?: PassListener): Program {
  const graphs = program.graphs.map((graph) => runPasses(graph, passes, onPass));
  return graphs.every((graph, i) => graph === program.graphs[i]) ? program : { ...program, graphs };
}

import { checkGraph } from '../check.ts';
import { IrError } from '../error.ts';
import type { Graph, Program } from '../graph.ts';
import type { Pass } from './pass.ts';

/**
 * Runs passes in order over one graph, checking the graph before the first and after each that changed it.
 * The same object when nothing matched. @throws IrError naming the pass that failed or left an invalid graph.
 */
export function runPasses(graph: Graph, passes: readonly Pass[]): Graph {
  checkGraph(graph);
  return passes.reduce((current, pass) => {
    try {
      const result = pass.run(current);
      if (result !== current) checkGraph(result);
      return result;
    } catch (cause) {
      throw new IrError(
        `pass ${pass.name} on graph ${graph.name}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }, graph);
}

/** Runs passes over every graph of a program. The same object when nothing matched. @throws IrError */
export function runPassesOnProgram(program: Program, passes: readonly Pass[]): Program {
  const graphs = program.graphs.map((graph) => runPasses(graph, passes));
  return graphs.every((graph, i) => graph === program.graphs[i]) ? program : { ...program, graphs };
}

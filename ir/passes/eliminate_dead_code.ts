import type { Graph, Value } from '../graph.ts';
import type { Pass } from './pass.ts';

/** Removes nodes and constants that no output and no stage needs. Inputs stay: they are the graph's signature. */
export const eliminateDeadCode: Pass = {
  name: 'eliminate_dead_code',
  doc: 'Nodes and constants that nothing uses are removed.',
  run(graph): Graph {
    const live = new Set<Value>([...graph.outputs, ...graph.stages].map((port) => port.value));
    const nodes = graph.nodes.toReversed().filter((node) => {
      if (!node.outputs.some((v) => live.has(v))) return false;
      for (const input of node.inputs) live.add(input);
      return true;
    });
    const constants = graph.constants.filter((c) => live.has(c.value));
    if (nodes.length === graph.nodes.length && constants.length === graph.constants.length) return graph;
    return { ...graph, nodes: nodes.reverse(), constants };
  },
};

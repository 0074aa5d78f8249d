import type { Graph, NodeOf, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import { sameType } from '../type.ts';
import type { Pass } from './pass.ts';

/**
 * A sum and the norm that reads it become one op with both results: one kernel, and one reading of the residual stream
 * less.
 */
export const fuseAddRmsNorm: Pass = {
  name: 'fuse_add_rms_norm',
  doc: 'add followed by rms_norm of the sum becomes add_rms_norm, whose second result is the sum.',
  run(graph) {
    const norms = normsOfSums(graph);
    const fused = new Map<NodeOf<'rms_norm'>, Value>();
    return rewriteGraph(graph, (node, { inputs, builder, resolve }) => {
      if (node.op === 'rms_norm' && fused.has(node)) return [fused.get(node)!];
      const norm = node.op === 'add' ? norms.get(node.outputs[0]!) : undefined;
      if (!norm) return undefined;
      const [normed, sum] = builder.node(ops.add_rms_norm, [...inputs, resolve(norm.inputs[1]!)], norm.attrs, [
        norm.outputs[0]!.name,
        node.outputs[0]!.name,
      ]) as [Value, Value];
      fused.set(norm, normed);
      return [sum];
    });
  },
};

/**
 * The first norm of each sum of two tensors of one type, where its scale is a constant: others may be computed only
 * later.
 */
function normsOfSums(graph: Graph): ReadonlyMap<Value, NodeOf<'rms_norm'>> {
  const sums = new Set(
    graph.nodes
      .filter((node) => node.op === 'add' && sameType(node.inputs[0]!.type, node.inputs[1]!.type))
      .map((node) => node.outputs[0]!),
  );
  const constants = new Set(graph.constants.map((constant) => constant.value));
  const norms = new Map<Value, NodeOf<'rms_norm'>>();
  for (const node of graph.nodes)
    if (
      node.op === 'rms_norm' &&
      sums.has(node.inputs[0]!) &&
      constants.has(node.inputs[1]!) &&
      !norms.has(node.inputs[0]!)
    )
      norms.set(node.inputs[0]!, node);
  return norms;
}

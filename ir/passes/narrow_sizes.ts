import type { Graph, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { hasTrait } from '../ops/traits.ts';
import { rewriteGraph } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * Positions are compared in i32. GPUs have no kernels for i64: a mask of queries by keys would be made on the CPU and
 * copied, while the positions themselves are vectors. Sizes of tensors are far from 2³¹.
 */
export const narrowSizes: Pass = {
  name: 'narrow_sizes',
  doc: 'Comparisons of i64 that are made of sizes alone (dim_value, iota, literals) are done in i32.',
  run(graph) {
    const sizes = madeOfSizes(graph);
    return rewriteGraph(graph, (node, { inputs, builder }) => {
      if (node.op !== 'less_equal' && node.op !== 'equal') return undefined;
      if (!node.inputs.every((value) => sizes.has(value))) return undefined;
      const narrow = inputs.map((value) => builder.op(ops.cast, [value], { to: 'i32' }));
      return builder.node(ops[node.op], narrow, {}, [node.outputs[0]!.name]);
    });
  },
};

function madeOfSizes({ constants, nodes }: Graph): ReadonlySet<Value> {
  const sizes = new Set(
    constants.flatMap((c) =>
      c.kind === 'literal' && c.tensor.dtype === 'i64' && c.tensor.data.every((x) => Math.abs(x) < 2 ** 31)
        ? [c.value]
        : [],
    ),
  );
  for (const node of nodes)
    if (hasTrait(node.op, 'size') || (keepsSizes(node) && node.inputs.every((value) => sizes.has(value))))
      for (const value of node.outputs) sizes.add(value);
  return sizes;
}

/** Whether results of sizes are sizes again: moved, or shifted by each other. */
function keepsSizes({ op }: Node): boolean {
  return hasTrait(op, 'movement') || op === 'add' || op === 'sub';
}

import type { Graph, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import type { Pass } from '../../../ir/passes/index.ts';
import { rewriteGraph } from '../../../ir/rewrite.ts';
import { constantsOf } from './constants.ts';

/**
 * Kernels of linear layers read weights as the bundle has them; by a computed matrix, a layer is a product as any
 * other.
 */
export const productsOfComputed: Pass = {
  name: 'products_of_computed',
  doc: 'linear by a computed weight becomes matmul by its transpose, and add.',
  // the sum before the bias is added
  rounds: 'f32',
  run(graph: Graph) {
    const constants = constantsOf(graph);
    return rewriteGraph(graph, (node, { inputs, builder }) => {
      if (node.op !== 'linear' || constants.has(node.inputs[1]!)) return undefined;
      const [x, weight, bias] = inputs as readonly [Value, Value, Value?];
      const product = builder.op(ops.matmul, [x, builder.op(ops.transpose, [weight], { perm: [1, 0] })], {});
      return [bias ? builder.op(ops.add, [product, bias], {}) : product];
    });
  },
};

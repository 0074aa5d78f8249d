import type { Constant, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/** From [B, S, K, H] to [B, K, S, H]. */
const HEADS_FIRST = '0,2,1,3';

/**
 * A KV cache that grows by concatenation says what it is: a backend that keeps room behind the cache then writes the
 * new rows in place and copies nothing. Only inputs of the graph are caches.
 */
export const fuseAppendCache: Pass = {
  name: 'fuse_append_cache',
  doc: 'concat of an input with transposed heads along the positions becomes append_cache.',
  run(graph) {
    const inputs = new Set(graph.inputs);
    return rewriteGraph(graph, (node, { inputs: operands, builder, definitionOf }) => {
      const [cache] = node.inputs;
      if (node.op !== 'concat' || node.attrs.axis !== 2 || node.inputs.length !== 2 || !inputs.has(cache!))
        return undefined;
      const rows = headsFirst(definitionOf(operands[1]!));
      return rows && builder.node(ops.append_cache, [operands[0]!, rows], {}, [node.outputs[0]!.name]);
    });
  },
};

/** x where the definition is transpose(x, [0, 2, 1, 3]). */
function headsFirst(definition: Node | Constant | undefined): Value | undefined {
  const isTranspose = definition !== undefined && 'op' in definition && definition.op === 'transpose';
  return isTranspose && definition.attrs.perm.join() === HEADS_FIRST ? definition.inputs[0]! : undefined;
}

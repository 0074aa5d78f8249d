import type { Value } from '../graph.ts';
import type { AttrCodec } from '../attr.ts';
import { ops } from '../ops/index.ts';
import { emitNode, rewriteGraph } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/** Two nodes with the same op, operands and attributes are one. Every op is pure, so this needs no further proof. */
export const eliminateCommonSubexpressions: Pass = {
  name: 'eliminate_common_subexpressions',
  doc: 'Nodes that compute the same become one.',
  run(graph) {
    const seen = new Map<string, readonly Value[]>();
    const numbers = new Map<Value, number>();
    const numberOf = (value: Value) => {
      const known = numbers.get(value) ?? numbers.size;
      numbers.set(value, known);
      return known;
    };
    let matched = false;
    const result = rewriteGraph(graph, (node, { inputs, builder }) => {
      const schema: Readonly<Record<string, AttrCodec<unknown>>> = ops[node.op].attrs;
      const attrs = Object.entries(node.attrs).map(([name, value]) => `${name}=${schema[name]!.print(value)}`);
      const key = `${node.op}(${inputs.map(numberOf).join()})${attrs.sort().join()}`;
      const same = seen.get(key);
      if (same) {
        matched = true;
        return same;
      }
      const outputs = emitNode(builder, node, inputs);
      seen.set(key, outputs);
      return outputs;
    });
    return matched ? result : graph;
  },
};

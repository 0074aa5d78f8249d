import type { GraphBuilder } from '../../ir/builder.ts';
import type { Dim } from '../../ir/dim.ts';
import type { Value } from '../../ir/graph.ts';
import { isComposite, ops, type OpName } from '../../ir/ops/index.ts';
import { opsWith } from '../../ir/ops/traits.ts';
import { decompose, type Pass } from '../../ir/passes/index.ts';
import { rewriteGraph } from '../../ir/rewrite.ts';

const OVER_MATRICES: readonly OpName[] = [...opsWith('linear'), ...opsWith('lookup')];
/**
 * An exporter that knows no composite still has its weights in blocks: a tool of ONNX Runtime puts them there
 * afterwards.
 */
const KEPT = new Set(OVER_MATRICES.filter(isComposite));

/**
 * What an exporter without fusions makes of the same model, for `npm run bench`: keys and values repeated for every
 * query head (`repeat_kv` of transformers), and norms, gelu, rotations and attention as the arithmetic that the
 * modelling code spells out.
 */
export const plainExport: readonly Pass[] = [
  {
    name: 'repeat_kv',
    doc: 'Every query head of attention gets its own copy of its KV head.',
    run: (graph) =>
      rewriteGraph(graph, (node, { inputs, builder }) => {
        if (node.op !== 'attention') return undefined;
        const [q, k, v, ...bias] = inputs as readonly [Value, Value, Value, ...Value[]];
        const [heads, kvHeads] = [q.type.shape[2] as number, k.type.shape[1] as number];
        if (heads === kvHeads) return undefined;
        return [
          builder.op(
            ops.attention,
            [q, repeat(builder, k, heads / kvHeads), repeat(builder, v, heads / kvHeads), ...bias],
            node.attrs,
          ),
        ];
      }),
  },
  decompose(KEPT),
];

/** [B, K, T, H] as [B, K·times, T, H]. */
function repeat(b: GraphBuilder, x: Value, times: number): Value {
  const [batch, kvHeads, total, size] = x.type.shape as readonly [Dim, number, Dim, Dim];
  const apart = b.op(ops.reshape, [x], { shape: [batch, kvHeads, 1, total, size] });
  return b.op(ops.reshape, [b.op(ops.expand, [apart], { shape: [batch, kvHeads, times, total, size] })], {
    shape: [batch, kvHeads * times, total, size],
  });
}

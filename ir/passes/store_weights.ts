import type { GraphBuilder } from '../builder.ts';
import type { Constant, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { hasTrait } from '../ops/traits.ts';
import { emitNode, rewriteGraph } from '../rewrite.ts';
import { castData } from '../views/cast.ts';
import type { Pass } from './pass.ts';

/** Where an op takes the bulk of the bytes. */
function weightOperand({ op }: Node): number | undefined {
  if (hasTrait(op, 'lookup')) return 0;
  return hasTrait(op, 'linear') || op === 'conv2d' || op === 'conv_transpose2d' ? 1 : undefined;
}

/**
 * Matrices, kernels and tables are kept in a narrow dtype and widened in the graph; what is computed stays f32. For
 * runtimes that have no products in that dtype and widen constants once, when they load: castFloats would only round
 * activations there. Rows of a table are widened after they are taken: the table is not.
 */
export function storeWeights(dtype: 'f16' | 'bf16'): Pass {
  return {
    name: 'store_weights',
    doc: `f32 weights of products, convolutions and embeddings are stored as ${dtype} and widened before use.`,
    rounds: 'weights',
    run(graph) {
      const stored = new Map<Constant, Value>();
      const store = (b: GraphBuilder, constant: WeightConstant) => {
        const known =
          stored.get(constant) ?? b.weight(`${constant.value.name}.${dtype}`, castData(constant.data, dtype));
        stored.set(constant, known);
        return known;
      };
      const widened = new Map<Value, Value>();
      return rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
        const operand = weightOperand(node);
        if (operand === undefined) return undefined;
        const weight = definitionOf(inputs[operand]!);
        if (!isWideWeight(weight)) return undefined;
        const narrow = store(builder, weight);
        const names = node.outputs.map((value) => value.name);
        if (node.op === 'gather')
          return builder.node(
            ops.cast,
            [builder.node(ops.gather, [narrow, inputs[1]!], {}, [`${names[0]}.${dtype}`])[0]!],
            { to: 'f32' },
            names,
          );
        const wide =
          widened.get(narrow) ?? builder.node(ops.cast, [narrow], { to: 'f32' }, [`${narrow.name}.widened`])[0]!;
        widened.set(narrow, wide);
        return emitNode(builder, node, inputs.with(operand, wide));
      });
    },
  };
}

type WeightConstant = Extract<Constant, { kind: 'weight' }>;

function isWideWeight(definition: Node | Constant | undefined): definition is WeightConstant {
  return (
    definition !== undefined && 'kind' in definition && definition.kind === 'weight' && definition.data.dtype === 'f32'
  );
}

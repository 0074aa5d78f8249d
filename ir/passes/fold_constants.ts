import { symbolsOf } from '../dim.ts';
import type { Constant, Node } from '../graph.ts';
import type { Primitive } from '../op.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import { elementCount, tensorOf, type Tensor } from '../tensor.ts';
import type { Pass } from './pass.ts';

/** Results with more elements stay computed: literals are held in memory and written into the graph file itself. */
export const FOLD_MAX_ELEMENTS = 4096;

/**
 * A primitive over literals becomes the literal that its own evaluate gives, rounded to its dtype. Weights are never
 * folded: a pass does not read them, and views (castData, transposeData) change them lazily.
 */
export const foldConstants: Pass = {
  name: 'fold_constants',
  doc: `Primitives whose operands are all literals are computed now, up to ${FOLD_MAX_ELEMENTS} elements.`,
  run: (graph) =>
    rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
      const op = ops[node.op] as unknown as Primitive;
      if (op.kind !== 'primitive' || !isSmall(node)) return undefined;
      const operands = inputs.map((value) => literalOf(definitionOf(value)));
      if (!operands.every((tensor) => tensor !== undefined)) return undefined;
      const results = op.evaluate(operands, node.attrs as Readonly<Record<string, unknown>>, new Map());
      return results.map((raw, i) => {
        const { name, type } = node.outputs[i]!;
        return builder.literalTensor(tensorOf(type.dtype, raw.shape, raw.data), name);
      });
    }),
};

/** Sizes are known, the value of dim_value too, and few elements come out. */
function isSmall(node: Node): boolean {
  if (node.op === 'dim_value') return symbolsOf(node.attrs.dim).length === 0;
  return node.outputs.every(({ type }) => type.shape.every((dim) => typeof dim === 'number') && elementCount(type.shape as number[]) <= FOLD_MAX_ELEMENTS);
}

function literalOf(definition: Node | Constant | undefined): Tensor | undefined {
  return definition && 'kind' in definition && definition.kind === 'literal' ? definition.tensor : undefined;
}

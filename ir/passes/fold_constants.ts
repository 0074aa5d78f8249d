import type { Constant, Value } from '../graph.ts';
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
      if (op.kind !== 'primitive' || !node.outputs.every(isFoldable)) return undefined;
      const operands = inputs.map((value) => literalOf(definitionOf(value)));
      if (!operands.every((tensor) => tensor !== undefined)) return undefined;
      const results = op.evaluate(operands, node.attrs as Readonly<Record<string, unknown>>, new Map());
      return results.map((raw, i) => {
        const { name, type } = node.outputs[i]!;
        return builder.literalTensor(tensorOf(type.dtype, raw.shape, raw.data), name);
      });
    }),
};

function isFoldable({ type }: Value): boolean {
  return type.shape.every((dim) => typeof dim === 'number') && elementCount(type.shape as number[]) <= FOLD_MAX_ELEMENTS;
}

function literalOf(definition: Constant | object | undefined): Tensor | undefined {
  return definition && 'kind' in definition && definition.kind === 'literal' ? (definition as Constant & { kind: 'literal' }).tensor : undefined;
}

import { symbolsOf } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import type { Constant, Node } from '../graph.ts';
import type { Primitive } from '../op.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import { elementCount, readTensor, tensorOf, type Tensor } from '../tensor.ts';
import { computedData } from '../views/compute.ts';
import type { Pass } from './pass.ts';

/** Results with more elements stay computed: literals are held in memory and written into the graph file itself. */
export const FOLD_MAX_ELEMENTS = 4096;
/**
 * The same for results from weights, which are made when they are read: the norm scales of every published model are
 * below.
 */
export const FOLD_MAX_WEIGHT_ELEMENTS = 65536;

/**
 * A primitive over literals becomes the literal that its own evaluate gives, rounded to its dtype. Over small weights,
 * such as a norm's scale with 1 added, it becomes a weight that is computed when it is read: a pass reads no bytes.
 * A matrix that is stored in 16 bits and widened before use stays so, however small: folded it would be stored in more.
 */
export const foldConstants: Pass = {
  name: 'fold_constants',
  doc: `Primitives whose operands are all literals or small weights are computed ahead, up to ${FOLD_MAX_ELEMENTS} or ${FOLD_MAX_WEIGHT_ELEMENTS} elements.`,
  run: (graph) =>
    rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
      const op = ops[node.op] as unknown as Primitive;
      if (op.kind !== 'primitive') return undefined;
      const operands = inputs.map((value) => constantOf(definitionOf(value)));
      if (!operands.every((constant) => constant !== undefined)) return undefined;
      const weight = operands.find((constant) => constant.kind === 'weight');
      if (weight && isWidening(node)) return undefined;
      if (!isSmall(node, weight ? FOLD_MAX_WEIGHT_ELEMENTS : FOLD_MAX_ELEMENTS)) return undefined;
      const evaluate = (tensors: readonly Tensor[]) =>
        op
          .evaluate(tensors, node.attrs as Readonly<Record<string, unknown>>, new Map())
          .map((raw, i) => tensorOf(node.outputs[i]!.type.dtype, raw.shape, raw.data));
      if (!weight)
        return evaluate(operands.map((constant) => (constant as Literal).tensor)).map((tensor, i) =>
          builder.literalTensor(tensor, node.outputs[i]!.name),
        );
      const read = async () =>
        evaluate(
          await Promise.all(
            operands.map(async (constant) =>
              constant.kind === 'weight' ? readTensor(constant.data) : constant.tensor,
            ),
          ),
        );
      return node.outputs.map(({ name, type }, i) =>
        builder.weight(
          name,
          computedData(type.dtype, type.shape as readonly number[], async () => (await read())[i]!, weight.data.from),
        ),
      );
    }),
};

type Literal = Extract<Constant, { kind: 'literal' }>;

/** Sizes are known, the value of dim_value too, and few elements come out. */
function isSmall(node: Node, most: number): boolean {
  if (node.op === 'dim_value') return symbolsOf(node.attrs.dim).length === 0;
  return node.outputs.every(
    ({ type }) => type.shape.every((dim) => typeof dim === 'number') && elementCount(type.shape as number[]) <= most,
  );
}

/** Whether it makes a matrix of f32 of one of narrower floats. */
function isWidening({ op, inputs, outputs }: Node): boolean {
  const [from, { dtype: to, shape }] = [inputs[0]?.type.dtype, outputs[0]!.type];
  return op === 'cast' && to === 'f32' && shape.length > 1 && from !== undefined && from !== to && isFloat(from);
}

function constantOf(definition: Node | Constant | undefined): Constant | undefined {
  if (!definition || !('kind' in definition)) return undefined;
  return definition.kind === 'literal' || elementCount(definition.data.shape) <= FOLD_MAX_WEIGHT_ELEMENTS
    ? definition
    : undefined;
}

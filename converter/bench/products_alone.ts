import { GraphBuilder } from '../../ir/builder.ts';
import type { Graph, Node, Value } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { hasTrait } from '../../ir/ops/traits.ts';

/**
 * The products of a decoder's step with its weights, and nothing between: every one reads one of the inputs `x_<width>`
 * f32[1, 1, width]. A step cannot take less, whatever is fused around them.
 */
export function productsAlone({ nodes, constants }: Graph): Graph {
  const b = new GraphBuilder('products');
  const stored = new Map(constants.map((constant) => [constant.value, constant]));
  const inputs = new Map<number, Value>();
  const weights = new Map<Value, Value>();
  const inputOf = (width: number) => {
    const input = inputs.get(width) ?? b.input(`x_${width}`, { dtype: 'f32', shape: [1, 1, width] });
    inputs.set(width, input);
    return input;
  };
  const weightOf = (value: Value) => {
    const constant = stored.get(value);
    if (constant?.kind !== 'weight') return undefined;
    const weight = weights.get(value) ?? b.weight(value.name, constant.data);
    weights.set(value, weight);
    return weight;
  };
  for (const node of nodes) {
    const product = productOf(node);
    if (!product) continue;
    const operands = product.weights.map(weightOf);
    if (!operands.every((operand) => operand !== undefined)) continue;
    const x = inputOf(product.width);
    const y =
      node.op === 'quantized_linear'
        ? b.op(ops.quantized_linear, [x, ...operands], node.attrs)
        : b.op(ops.linear, [x, ...operands], {});
    b.output(node.outputs[0]!.name, y);
  }
  return b.build();
}

function productOf({
  op,
  inputs: [x, ...weights],
}: Node): { readonly width: number; readonly weights: readonly Value[] } | undefined {
  if (!hasTrait(op, 'linear')) return undefined;
  return { width: x!.type.shape.at(-1) as number, weights };
}

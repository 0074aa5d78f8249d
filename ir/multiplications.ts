import { evaluateDim, symbolsOf, type Dim } from './dim.ts';
import type { Graph } from './graph.ts';
import { sizesOf } from './input_sizes.ts';
import { decompose } from './passes/decompose.ts';

const weighed = new WeakMap<Graph, readonly (readonly Dim[])[]>();

/**
 * Multiplications of products and convolutions in one run of a graph, by the sizes of its inputs' shapes. A size that
 * no input has, as of the positions that get logits, is `otherwise`. No weight is read.
 */
export function multiplications(
  graph: Graph,
  shapes: Readonly<Record<string, readonly number[]>>,
  otherwise = 1,
): number {
  const sizes = sizesOf(graph, shapes);
  const products = weighed.get(graph) ?? productsOf(graph);
  weighed.set(graph, products);
  const size = (dim: Dim) =>
    evaluateDim(dim, new Map(symbolsOf(dim).map((symbol) => [symbol, sizes.get(symbol) ?? otherwise])));
  return products.reduce((sum, dims) => sum + dims.reduce<number>((product, dim) => product * size(dim), 1), 0);
}

/** For each product, sizes whose product is the number of its multiplications. */
function productsOf(graph: Graph): readonly (readonly Dim[])[] {
  return decompose(new Set())
    .run(graph)
    .nodes.flatMap(({ op, inputs, outputs }) => {
      const result = outputs[0]!.type.shape;
      if (op === 'linear' || op === 'matmul') return [[...result, inputs[0]!.type.shape.at(-1)!]];
      if (op === 'conv_transpose2d') return [[...inputs[0]!.type.shape, ...inputs[1]!.type.shape.slice(1)]];
      return op === 'conv2d' ? [[...result, ...inputs[1]!.type.shape.slice(1)]] : [];
    });
}

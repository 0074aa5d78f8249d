import { evaluateDim, type Bindings } from '../../../ir/dim.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { hasTrait } from '../../../ir/ops/traits.ts';

/**
 * Floating-point operations of products and attention, two for a product with its sum: what a graph needs at least,
 * whoever runs it.
 */
export function flopsOf({ nodes }: Graph, sizes: Bindings): number {
  const count = (value: Value) =>
    value.type.shape.reduce<number>((product, dim) => product * evaluateDim(dim, sizes), 1);
  const size = (value: Value, axis: number) => evaluateDim(value.type.shape.at(axis)!, sizes);
  return nodes.reduce((sum, { op, inputs, outputs }) => {
    const [x, keys] = inputs as readonly [Value, Value];
    if (hasTrait(op, 'linear')) return sum + 2 * count(outputs[0]!) * size(x, -1);
    // scores, and what they weigh
    if (op === 'attention') return sum + 4 * count(x) * size(keys, -2);
    return sum;
  }, 0);
}

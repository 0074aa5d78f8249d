import { sameDim, sym, symbolsOf, type Bindings } from './dim.ts';
import type { Graph } from './graph.ts';

/** Sizes that stand alone in the type of an input. */
export function sizesOf(graph: Graph, shapes: Readonly<Record<string, readonly number[]>>): Bindings {
  const sizes = new Map<string, number>();
  for (const { name, type } of graph.inputs)
    type.shape.forEach((dim, axis) => {
      const [symbol] = symbolsOf(dim);
      const size = shapes[name]?.[axis];
      if (size !== undefined && symbol !== undefined && sameDim(dim, sym(symbol))) sizes.set(symbol, size);
    });
  return sizes;
}

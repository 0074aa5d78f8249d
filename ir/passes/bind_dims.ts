import { GraphBuilder } from '../builder.ts';
import { addDims, printDim, scaleDim, sym, type Dim, type SymDim } from '../dim.ts';
import { IrError } from '../error.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { emitNode } from '../rewrite.ts';
import { tensorType } from '../type.ts';
import type { Pass } from './pass.ts';

/**
 * Symbols become numbers, in types and attributes: the graph for one new token (`seq` and `kept` 1) is the same text
 * with other sizes. take_last, whose size a value decides, becomes the slice that it is for that size, or nothing.
 */
export function bindDims(sizes: Readonly<Record<string, number>>): Pass {
  return {
    name: 'bind_dims',
    doc: `Sizes are known: ${Object.entries(sizes)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ')}.`,
    run: (graph) => new Binder(sizes).run(graph) ?? graph,
  };
}

class Binder {
  readonly #sizes: ReadonlyMap<string, number>;
  #changed = false;

  constructor(sizes: Readonly<Record<string, number>>) {
    this.#sizes = new Map(Object.entries(sizes));
  }

  /** Undefined when no symbol occurs. */
  run(graph: Graph): Graph | undefined {
    const b = new GraphBuilder(graph.name);
    const values = new Map<Value, Value>();
    for (const input of graph.inputs)
      values.set(
        input,
        b.input(
          input.name,
          tensorType(
            input.type.dtype,
            input.type.shape.map((dim) => this.#bind(dim)),
          ),
        ),
      );
    for (const constant of graph.constants)
      values.set(
        constant.value,
        constant.kind === 'weight'
          ? b.weight(constant.value.name, constant.data)
          : b.literalTensor(constant.tensor, constant.value.name),
      );
    for (const node of graph.nodes) {
      const inputs = node.inputs.map((value) => values.get(value)!);
      const results = this.#node(b, node, inputs);
      node.outputs.forEach((value, i) => values.set(value, results[i]!));
    }
    for (const { name, value } of graph.stages) b.stage(name, values.get(value)!);
    for (const { name, value } of graph.outputs) b.output(name, values.get(value)!);
    return this.#changed ? b.build() : undefined;
  }

  #node(b: GraphBuilder, node: Node, inputs: readonly Value[]): readonly Value[] {
    const attrs = Object.fromEntries(Object.entries(node.attrs).map(([name, value]) => [name, this.#attr(value)]));
    if (node.op === 'take_last' && typeof attrs['kept'] === 'number')
      return [lastOf(b, inputs[0]!, node, attrs['kept'])];
    return emitNode(b, { ...node, attrs } as unknown as Node, inputs); // the same op with attributes of the same types
  }

  /** Dims, and lists of them; every other attribute is a number, a text or a list of these. */
  #attr(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item: unknown) => this.#attr(item));
    return isSymbolic(value) ? this.#bind(value) : value;
  }

  #bind(dim: Dim): Dim {
    if (typeof dim === 'number' || !dim.terms.some(([name]) => this.#sizes.has(name))) return dim;
    this.#changed = true;
    return dim.terms.reduce<Dim>(
      (sum, [name, factor]) => addDims(sum, scaleDim(this.#sizes.get(name) ?? sym(name), factor)),
      dim.offset,
    );
  }
}

function isSymbolic(value: unknown): value is SymDim {
  return typeof value === 'object' && value !== null && 'terms' in value;
}

/** @throws IrError where the size of the axis is not known: the last entries begin nowhere then */
function lastOf(
  b: GraphBuilder,
  x: Value,
  { attrs: { axis }, outputs }: Extract<Node, { op: 'take_last' }>,
  kept: number,
): Value {
  const size = x.type.shape[axis]!;
  if (typeof size !== 'number' || size < kept)
    throw new IrError(`take_last: ${kept} entries of ${printDim(size)} are no slice`);
  return size === kept ? x : b.node(ops.slice, [x], { axis, begin: size - kept, end: size }, [outputs[0]!.name])[0]!;
}

import { GraphBuilder } from '../builder.ts';
import {
  evaluateDim,
  mulDims,
  printDim,
  sameDim,
  scaleDim,
  subDims,
  sym,
  symbolsOf,
  type Dim,
  type SymDim,
} from '../dim.ts';
import { dtypes } from '../dtypes/index.ts';
import { IrError } from '../error.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { sizesOf } from '../input_sizes.ts';
import { ops } from '../ops/index.ts';
import { emitNode } from '../rewrite.ts';
import { elementCount, tensorOf, type Tensor } from '../tensor.ts';
import { tensorType } from '../type.ts';
import type { Pass, Values } from './pass.ts';

/** The size of caches, and of what lies beside their positions, behind this pass. */
const CAPACITY = 'capacity';
/** The input that tells how many positions are filled. */
const PAST = 'past';

/**
 * KV caches that grow get a fixed capacity: each `append_cache(cache[.., past, ..], x)` becomes `update_cache` of a
 * cache of `capacity` rows; what had `past + seq` entries, one a position, has `capacity`; and the number of filled
 * rows, which was a size, is a new input `past` i64[]. What drives the graph masks the rows that are not filled
 * (attention_mask 0). Memory then keeps its size from step to step.
 */
export const fixedCache: Pass = {
  name: 'fixed_cache',
  doc: 'append_cache becomes update_cache of a cache with room: its size is `capacity`, and `past` an input.',
  run(graph) {
    const appended = graph.nodes.find((node) => node.op === 'append_cache');
    return appended ? new Fixer(graph, appended).run() : graph;
  },
  /** With room for one row more than there are, so that what lies behind the filled ones is read too. */
  inputsBehind(after, inputs) {
    const [cache, rows] = after.nodes.find((node) => node.op === 'update_cache')!.inputs as readonly [Value, Value];
    const past = inputs[cache.name]!.shape[2]!;
    const seq = evaluateDim(rows.type.shape[1]!, sizesOf(after, shapesOf(inputs)));
    const sizes = new Map([[CAPACITY, past + seq + 1]]);
    const padded = after.inputs.flatMap(({ name, type }) => {
      const given = inputs[name];
      if (!given) return [];
      const shape = type.shape.map((dim, axis) =>
        symbolsOf(dim).includes(CAPACITY) ? evaluateDim(dim, sizes) : given.shape[axis]!,
      );
      return [[name, paddedTo(given, shape)] as const];
    });
    return { ...Object.fromEntries(padded), [PAST]: tensorOf('i64', [], [past]) };
  },
};

function shapesOf(inputs: Values): Readonly<Record<string, readonly number[]>> {
  return Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
}

/** Elements where they were, and zeros behind them along each axis. */
function paddedTo(tensor: Tensor, shape: readonly number[]): Tensor {
  const data = dtypes[tensor.dtype].allocate(elementCount(shape));
  for (let at = 0; at < tensor.data.length; at++) {
    let [rest, to, stride] = [at, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = tensor.shape[axis]!;
      to += (rest % size) * stride;
      rest = Math.floor(rest / size);
      stride *= shape[axis]!;
    }
    data[to] = tensor.data[at]!;
  }
  return { dtype: tensor.dtype, shape, data };
}

class Fixer {
  readonly #graph: Graph;
  /** `past`, and `past + seq`. */
  readonly #past: SymDim;
  readonly #total: Dim;
  readonly #caches: ReadonlySet<Value>;
  readonly #b: GraphBuilder;

  constructor(graph: Graph, appended: Extract<Node, { op: 'append_cache' }>) {
    const [cache] = appended.inputs;
    const past = cache!.type.shape[2]!;
    if (typeof past === 'number' || !sameDim(past, sym(past.terms[0]![0])))
      throw new IrError(`${cache!.name}: a cache of ${printDim(past)} positions cannot get another size`);
    this.#graph = graph;
    this.#past = past;
    this.#total = appended.outputs[0]!.type.shape[2]!;
    this.#caches = new Set(graph.nodes.flatMap((node) => (node.op === 'append_cache' ? [node.inputs[0]!] : [])));
    this.#b = new GraphBuilder(graph.name);
  }

  run(): Graph {
    const { inputs, constants, nodes, stages, outputs } = this.#graph;
    const b = this.#b;
    const values = new Map<Value, Value>();
    for (const input of inputs)
      values.set(
        input,
        b.input(
          input.name,
          tensorType(
            input.type.dtype,
            input.type.shape.map((dim) =>
              this.#caches.has(input) && sameDim(dim, this.#past) ? sym(CAPACITY) : this.#fixed(dim, input.name),
            ),
          ),
        ),
      );
    const past = b.input(PAST, tensorType('i64', []));
    for (const constant of constants)
      values.set(
        constant.value,
        constant.kind === 'weight'
          ? b.weight(constant.value.name, constant.data)
          : b.literalTensor(constant.tensor, constant.value.name),
      );
    for (const node of nodes) {
      const results = this.#node(
        node,
        node.inputs.map((value) => values.get(value)!),
        past,
      );
      node.outputs.forEach((value, i) => values.set(value, results[i]!));
    }
    for (const { name, value } of stages) b.stage(name, values.get(value)!);
    for (const { name, value } of outputs) b.output(name, values.get(value)!);
    return b.build();
  }

  #node(node: Node, inputs: readonly Value[], past: Value): readonly Value[] {
    const { name } = node.outputs[0]!;
    if (node.op === 'append_cache') return this.#b.node(ops.update_cache, [...inputs, past], {}, [name]);
    if (node.op === 'dim_value' && typeof node.attrs.dim !== 'number' && sameDim(node.attrs.dim, this.#past))
      return [past];
    const attrs = Object.fromEntries(Object.entries(node.attrs).map(([key, value]) => [key, this.#attr(value, name)]));
    // the same op with attributes of the same types
    return emitNode(this.#b, { ...node, attrs } as unknown as Node, inputs);
  }

  /** Dims, and lists of them; every other attribute is a number, a text or a list of these. */
  #attr(value: unknown, name: string): unknown {
    if (Array.isArray(value)) return value.map((item: unknown) => this.#attr(item, name));
    return typeof value === 'object' && value !== null && 'terms' in value ? this.#fixed(value as SymDim, name) : value;
  }

  /** n · (past + seq) as n · capacity. @throws IrError for another use of `past`, which is no size any more */
  #fixed(dim: Dim, name: string): Dim {
    if (typeof dim === 'number') return dim;
    const factor = dim.terms.find(([symbol]) => symbol === this.#past.terms[0]![0])?.[1];
    if (factor === undefined) return dim;
    const rest = subDims(dim, mulDims(this.#total, factor)!);
    if (!sameDim(rest, 0))
      throw new IrError(
        `${name}: ${printDim(dim)} counts positions of a cache otherwise than ${printDim(this.#total)}`,
      );
    return scaleDim(sym(CAPACITY), factor);
  }
}

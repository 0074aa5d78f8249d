import { sameDim, type Dim } from '../../../ir/dim.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import type { Node, Value } from '../../../ir/graph.ts';
import type { PhaseContext } from './phase_context.ts';

/** Ops that compute each element of their result from one element of each operand. */
export type ElementOp = 'add' | 'sub' | 'mul' | 'div' | 'tanh' | 'erf' | 'sqrt' | 'gelu_tanh' | 'gelu_erf' | 'equal' | 'less_equal' | 'and' | 'or' | 'not' | 'where' | 'cast';
const ELEMENT_OPS: ReadonlySet<string> = new Set<ElementOp>(['add', 'sub', 'mul', 'div', 'tanh', 'erf', 'sqrt', 'gelu_tanh', 'gelu_erf', 'equal', 'less_equal', 'and', 'or', 'not', 'where', 'cast']);

/** For each axis of a value, the axis of the result along which it runs; undefined where it has one entry for all. */
export type Axes = readonly (number | undefined)[];

/** How an element of a result follows from elements of others. */
export type Element =
  | { readonly kind: 'op'; readonly op: ElementOp; readonly dtype: DType; readonly operands: readonly Element[] }
  | { readonly kind: 'scalar'; readonly value: number; readonly dtype: DType }
  | { readonly kind: 'load'; readonly value: Value; readonly dtype: DType; readonly axes: Axes }
  | { readonly kind: 'iota'; readonly dtype: DType; readonly axis: number | undefined }
  | { readonly kind: 'dim'; readonly dtype: DType; readonly dim: Dim };

/** Nodes of an expression over indices and conditions that is made again where it is read, rather than stored. */
const CHEAP_NODES = 16;

/** A value as an expression over stored values, as far back as nobody else reads what is between; with `depth` 1, of its own node only. */
export function elementsOf(context: PhaseContext, root: Value, depth = Infinity): Element {
  return new Walk(context).node(root, root.type.shape.map((_, axis) => axis), depth);
}

/** Values that an expression reads, each once for each way in which it is read. */
export function loadsOf(element: Element): readonly Extract<Element, { kind: 'load' }>[] {
  if (element.kind === 'load') return [element];
  if (element.kind !== 'op') return [];
  const all = element.operands.flatMap(loadsOf);
  return all.filter((load, i) => all.findIndex((other) => other.value === load.value) === i);
}

class Walk {
  readonly #context: PhaseContext;

  constructor(context: PhaseContext) {
    this.#context = context;
  }

  #value(value: Value, axes: Axes, depth: number): Element {
    const constant = this.#context.constantOf(value);
    if (constant?.scalar !== undefined) return { kind: 'scalar', value: constant.scalar, dtype: value.type.dtype };
    const isInner = depth > 0 && !constant && !this.#context.isDone(value) && (this.#context.absorbable(value) || this.#isCheap(value));
    return isInner ? this.node(value, axes, depth) : this.#load(value, axes);
  }

  #load(value: Value, axes: Axes): Element {
    return { kind: 'load', value, dtype: value.type.dtype, axes };
  }

  /** What the node of a value computes; the value itself where that is more than an expression. */
  node(value: Value, axes: Axes, depth: number): Element {
    const node = this.#context.definitionOf(value);
    const { dtype } = value.type;
    switch (node?.op) {
      case 'iota':
        return { kind: 'iota', dtype, axis: axes[0] };
      case 'dim_value':
        return { kind: 'dim', dtype, dim: node.attrs.dim };
      case 'reshape': {
        const inner = throughUnits(node.inputs[0]!.type.shape, value.type.shape, axes);
        return inner ? this.#value(node.inputs[0]!, inner, depth) : this.#load(value, axes);
      }
      case 'expand':
        return this.#value(node.inputs[0]!, broadcast(node.inputs[0]!.type.shape, axes), depth - 1);
      case 'transpose': {
        const { perm } = node.attrs;
        return this.#value(node.inputs[0]!, perm.map((_, axis) => axes[perm.indexOf(axis)]), depth - 1);
      }
      default:
        if (!node || !ELEMENT_OPS.has(node.op)) return this.#load(value, axes);
        return { kind: 'op', op: node.op as ElementOp, dtype, operands: node.inputs.map((input) => this.#value(input, broadcast(input.type.shape, axes), depth - 1)) };
    }
  }

  /** Indices and conditions are made again for each reader: a kernel more would cost more. */
  #isCheap(value: Value): boolean {
    return !this.#context.isPort(value) && this.#weigh(value) <= CHEAP_NODES;
  }

  #weigh(value: Value): number {
    const node = this.#context.definitionOf(value);
    if (!node || this.#context.constantOf(value) || this.#context.isDone(value)) return 0;
    const isExpression = ['f32', 'f16'].every((dtype) => dtype !== value.type.dtype) && (ELEMENT_OPS.has(node.op) || ['iota', 'dim_value', 'reshape', 'expand'].includes(node.op));
    return isExpression ? node.inputs.reduce((sum, input) => sum + this.#weigh(input), 1) : Infinity;
  }
}

/** Axes of an operand that is broadcast to a result with these axes. */
function broadcast(shape: readonly Dim[], axes: Axes): Axes {
  return shape.map((dim, axis) => (dim === 1 ? undefined : axes[axes.length - shape.length + axis]));
}

/** Axes of the operand of a reshape that only adds and drops axes of one entry; undefined for others. */
function throughUnits(from: readonly Dim[], to: readonly Dim[], axes: Axes): Axes | undefined {
  const kept = to.flatMap((dim, axis) => (dim === 1 ? [] : [{ dim, axis: axes[axis] }]));
  const wide = from.filter((dim) => dim !== 1);
  if (kept.length !== wide.length || !wide.every((dim, i) => sameDim(dim, kept[i]!.dim))) return undefined;
  let next = 0;
  return from.map((dim) => (dim === 1 ? undefined : kept[next++]!.axis));
}

/** Whether a node is an expression over elements. */
export function isElementNode(node: Node): boolean {
  return ELEMENT_OPS.has(node.op) || ['iota', 'dim_value', 'expand', 'transpose'].includes(node.op);
}

import type { Node, Value } from '../../../ir/graph.ts';
import type { ElementType } from '../bundle/plan.ts';
import { elementTypeOf } from '../kernels/element_type.ts';
import { nodeExpression } from './node_expression.ts';
import type { ValueExpression } from '../kernels/value_expression.ts';
import { isPatches } from './patches.ts';
import { unsupported, type PhaseContext } from './phase_context.ts';

/** Nodes of an expression over indices and conditions that is made again where it is read, rather than stored. */
const CHEAP_NODES = 16;

/** A value made of stored ones, and these in the order of the kernel's bindings. */
export interface BuiltExpression {
  readonly expression: ValueExpression;
  readonly operands: readonly Value[];
}

/** Whether a node's result is an expression over elements of its operands. */
export function isExpression(node: Node): boolean {
  return nodeExpression(node, []) !== undefined;
}

/**
 * A value as an expression over stored values, as far back as nobody else reads what is between; `depth` 1: of its own
 * node only.
 */
export function expressionFor(context: PhaseContext, root: Value, depth = Infinity): BuiltExpression {
  const builder = new Builder(context);
  return { expression: builder.node(root, depth), operands: builder.operands };
}

class Builder {
  readonly operands: Value[] = [];
  readonly #context: PhaseContext;
  readonly #made = new Map<Value, ValueExpression>();

  constructor(context: PhaseContext) {
    this.#context = context;
  }

  #value(value: Value, depth: number): ValueExpression {
    const known = this.#made.get(value) ?? this.#make(value, depth);
    this.#made.set(value, known);
    return known;
  }

  #make(value: Value, depth: number): ValueExpression {
    const constant = this.#context.constantOf(value);
    if (constant?.scalar !== undefined)
      return { kind: 'literal', value: constant.scalar, type: typeOf(value), shape: value.type.shape };
    const node = this.#context.definitionOf(value);
    const isInner =
      node !== undefined &&
      depth > 0 &&
      !constant &&
      isExpression(node) &&
      !isPatches(this.#context, value) &&
      !this.#context.isDone(value);
    return isInner && (this.#context.absorbable(value) || this.#isCheap(value))
      ? this.node(value, depth)
      : this.#operand(value);
  }

  /** One binding for whatever is seen in the same memory. */
  #operand(value: Value): ValueExpression {
    const root = this.#context.rootOf(value);
    const known = this.operands.findIndex(
      (operand) => this.#context.rootOf(operand) === root && typeOf(operand) === typeOf(value),
    );
    return {
      kind: 'operand',
      index: known >= 0 ? known : this.operands.push(value) - 1,
      type: typeOf(value),
      shape: value.type.shape,
    };
  }

  /** What the node of a value computes. */
  node(value: Value, depth: number): ValueExpression {
    const node = this.#context.definitionOf(value)!;
    if (value.type.dtype === 'f16' && node.op === 'cast') return unsupported(value, 'values rounded to f16');
    // take_last reads no count: its size is known when it runs
    const inputs = node.op === 'take_last' ? node.inputs.slice(0, 1) : node.inputs;
    const expression = nodeExpression(
      node,
      inputs.map((input) => this.#value(input, node.op === 'reshape' ? depth : depth - 1)),
    );
    return expression ?? unsupported(value, `${node.op} of ${value.type.dtype}`);
  }

  /** Indices and conditions are made again for each reader: another kernel would cost more. */
  #isCheap(value: Value): boolean {
    return !this.#context.isPort(value) && this.#weigh(value) <= CHEAP_NODES;
  }

  #weigh(value: Value): number {
    const node = this.#context.definitionOf(value);
    if (!node || this.#context.constantOf(value) || this.#context.isDone(value)) return 0;
    const isCheap = typeOf(value) !== 'f32' && isExpression(node) && node.op !== 'gather' && node.op !== 'concat';
    return isCheap ? node.inputs.reduce((sum, operand) => sum + this.#weigh(operand), 1) : Infinity;
  }
}

/** How elements of a value lie on the device. @throws BackendError for dtypes that only weights have */
export function typeOf(value: Value): ElementType {
  return elementTypeOf(value.type.dtype) ?? unsupported(value, `values of ${value.type.dtype}`);
}

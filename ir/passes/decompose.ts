import type { Graph, Node, Value } from '../graph.ts';
import type { Composite, Emitter } from '../op.ts';
import { ops, type CompositeName, type OpName } from '../ops/index.ts';
import { emitNode, rewriteGraph, type RewriteContext } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * Replaces every composite that is not in `native` by what it is made of, down to primitives and native composites; and
 * those in it whose node does not fit, because a backend has the op for some shapes only.
 */
export function decompose(native: ReadonlySet<CompositeName>, fits: (node: Node) => boolean = () => true): Pass {
  return {
    name: 'decompose',
    doc: 'Composites that the backend does not lower itself become what they are made of.',
    run: (graph) =>
      rewriteGraph(graph, (node, context) =>
        isPrimitive(node.op, native) && (ops[node.op].kind === 'primitive' || fits(node))
          ? undefined
          : expand(node, context, native),
      ),
  };
}

/** Where a value of a decomposed graph comes from. */
export interface Origin {
  /** The node of the graph as it was. */
  readonly node: Node;
  /** The value of that node that it is; undefined for a step inside of a composite. */
  readonly value?: Value;
  /** Of a step: the primitive that makes it. */
  readonly step?: OpName;
}

/**
 * Down to primitives, with where the result of every node comes from: names alone do not tell, for those of composites
 * are gone.
 */
export function decomposeWithOrigins(graph: Graph): { graph: Graph; origins: ReadonlyMap<Value, Origin> } {
  const none = new Set<CompositeName>();
  const origins = new Map<Value, Origin>();
  const decomposed = rewriteGraph(graph, (node, context) => {
    const results = isPrimitive(node.op, none)
      ? emitNode(context.builder, node, context.inputs)
      : expand(node, context, none, (step, value) => origins.set(value, { node, step }));
    results.forEach((result, i) => origins.set(result, { node, value: node.outputs[i]! }));
    return results;
  });
  return { graph: decomposed, origins };
}

function isPrimitive(op: OpName, native: ReadonlySet<CompositeName>): boolean {
  return ops[op].kind === 'primitive' || native.has(op as CompositeName);
}

function expand(
  node: Node,
  { inputs, builder }: RewriteContext,
  native: ReadonlySet<CompositeName>,
  onStep?: (op: OpName, value: Value) => void,
): readonly Value[] {
  const nested: Emitter = {
    literal: (dtype, shape, values) => builder.literal(dtype, shape, values),
    op(op, operands, attrs) {
      if (op.kind !== 'primitive' && !native.has(op.name as CompositeName))
        return op.decompose(nested, operands, attrs)[0]!;
      const value = builder.op(op, operands, attrs);
      onStep?.(op.name as OpName, value);
      return value;
    },
  };
  return (ops[node.op] as unknown as Composite).decompose(nested, inputs, node.attrs);
}

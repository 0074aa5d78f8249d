import { GraphBuilder } from './builder.ts';
import type { Constant, Graph, Node, Value } from './graph.ts';
import { ops } from './ops/index.ts';

/** What a rule may do and see. All values are those of the new graph. */
export interface RewriteContext {
  /** The node's operands in the new graph. */
  readonly inputs: readonly Value[];
  readonly builder: GraphBuilder;
  /** The node or constant that makes a value of the new graph; undefined for graph inputs. */
  definitionOf(value: Value): Node | Constant | undefined;
  /** A constant, input or earlier result of the old graph in the new one. @throws Error for a later one. */
  resolve(value: Value): Value;
}

/** Replacements for the node's outputs, or undefined to keep the node. */
export type RewriteRule = (node: Node, context: RewriteContext) => readonly Value[] | undefined;

/** Adds a copy of `node` over other operands, inferring its types anew. */
export function emitNode(builder: GraphBuilder, node: Node, inputs: readonly Value[]): readonly Value[] {
  return builder.node(
    ops[node.op],
    inputs,
    node.attrs,
    node.outputs.map((v) => v.name),
  );
}

/**
 * Applies a rule to every node in order; operands are rewritten first. Inputs, outputs, stages and their names stay.
 * Returns the same graph when no rule fired. @throws IrTypeError when a replacement does not fit its users.
 */
export function rewriteGraph(graph: Graph, rule: RewriteRule, constants?: (constant: Constant) => Constant): Graph {
  const builder = new GraphBuilder(graph.name);
  const replaced = new Map<Value, Value>();
  let changed = false;
  for (const input of graph.inputs) replaced.set(input, builder.input(input.name, input.type));
  for (const original of graph.constants) {
    const constant = constants?.(original) ?? original;
    changed ||= constant !== original;
    const value =
      constant.kind === 'weight'
        ? builder.weight(constant.value.name, constant.data)
        : builder.literalTensor(constant.tensor, constant.value.name);
    replaced.set(original.value, value);
  }
  const resolve = (value: Value): Value => {
    const found = replaced.get(value);
    if (!found) throw new Error(`value %${value.name} is used before it is defined in graph ${graph.name}`);
    return found;
  };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(resolve);
    const outputs = rule(node, { inputs, builder, definitionOf: (value) => builder.definitionOf(value), resolve });
    changed ||= outputs !== undefined;
    const results = outputs ?? emitNode(builder, node, inputs);
    node.outputs.forEach((value, i) => replaced.set(value, results[i]!));
  }
  if (!changed) return graph;
  for (const { name, value } of graph.stages) builder.stage(name, resolve(value));
  for (const { name, value } of graph.outputs) builder.output(name, resolve(value));
  return builder.build();
}

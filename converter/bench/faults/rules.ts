import type { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import type { Node, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import type { RewriteContext } from '../../../ir/rewrite.ts';

/** What takes the place of a node's results; undefined leaves the node as it is. */
export type Rule = (node: Node, context: RewriteContext) => readonly Value[] | undefined;

const numberOne = (b: GraphBuilder) => b.literal('i64', [], [1]);

/** A rule for the `count`-th node that `matches`, from 0. */
export function nth(count: number, matches: (node: Node) => boolean, replace: Rule): () => Rule {
  return () => {
    let met = 0;
    return (node, context) => (matches(node) && met++ === count ? replace(node, context) : undefined);
  };
}

export const isOp = (name: Node['op']) => (node: Node) => node.op === name;
export const withoutNode: Rule = (_, { inputs }) => [inputs[0]!];

/** What is read behind a prompt is rotated by so many positions too many. */
export const suffixShifted =
  (by: 1 | -1) =>
  (): Rule =>
  (node, { builder: b, inputs: [x, positions, cos, sin] }) => {
    if (node.op !== 'rope') return undefined;
    const one = numberOne(b);
    const continued = b.op(ops.less_equal, [one, b.op(ops.dim_value, [], { dim: sym('past') })], {});
    const shift = b.op(ops.where, [continued, b.literal('i64', [], [by]), b.literal('i64', [], [0])], {});
    return [b.op(ops.rope, [x!, b.op(ops.add, [positions!, shift], {}), cos!, sin!], {})];
  };

/** A cache behind what is new: its axis keeps its length, so only what lies where differs. */
export const newKeysFirst: Rule = (_, { builder: b, inputs: [past, added] }) => [
  b.op(ops.concat, [added!, past!], { axis: 2 }),
];

/** The projector's result times a function of its width. */
export const projectorScaledBy =
  (factor: (width: number) => number) =>
  (): Rule =>
  (node, { builder: b, inputs }) => {
    if (node.op !== 'linear' || !node.inputs[1]!.name.startsWith('proj')) return undefined;
    const result = b.node(ops.linear, inputs, {})[0]!;
    return [b.op(ops.mul, [result, b.literal('f32', [], [factor(node.outputs[0]!.type.shape.at(-1) as number)])], {})];
  };

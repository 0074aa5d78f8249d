import type { NodeOf, Node } from '../../../ir/graph.ts';
import type { OpName, PrimitiveName } from '../../../ir/ops/index.ts';
import { nodeHasTrait, opsWith, type OpWith } from '../../../ir/ops/traits.ts';
import { elementTypeOf } from '../kernels/element_type.ts';
import type { ValueExpression, ValueNode } from '../kernels/value_expression.ts';

/** What an element of a node's result is, given its operands. */
type Rule<N extends OpName> = (node: NodeOf<N>, inputs: readonly ValueExpression[]) => ValueNode;

type MovedName = Extract<OpWith<'movement' | 'size'>, PrimitiveName>;

/** Where elements of the result lie in the operands, and sizes: a primitive without a rule does not compile. */
const MOVEMENTS: { readonly [N in MovedName]: Rule<N> } = {
  concat: ({ attrs: { axis } }, inputs) => ({ kind: 'concat', axis, inputs }),
  dim_value: ({ attrs: { dim } }) => ({ kind: 'dim', dim }),
  expand: (_, [input]) => ({ kind: 'expand', input: input! }),
  gather: (_, [table, indices]) => ({ kind: 'gather', table: table!, indices: indices! }),
  iota: () => ({ kind: 'iota' }),
  reshape: (_, [input]) => ({ kind: 'reshape', input: input! }),
  slice: ({ attrs: { axis, begin } }, [input]) => ({ kind: 'slice', axis, begin, input: input! }),
  take_last: ({ attrs: { axis } }, [input]) => ({ kind: 'take_last', axis, input: input! }),
  transpose: ({ attrs: { perm } }, [input]) => ({ kind: 'transpose', perm, input: input! }),
};

/** Ops whose results are expressions over elements of their operands. */
export const EXPRESSION_OPS: readonly (OpWith<'elementwise'> | MovedName)[] = [
  ...opsWith('elementwise'),
  ...(Object.keys(MOVEMENTS) as MovedName[]),
];

/**
 * The result of a node as an expression over its inputs; undefined for ops that are no elementwise function or
 * movement.
 */
export function nodeExpression(node: Node, inputs: readonly ValueExpression[]): ValueExpression | undefined {
  const { dtype, shape } = node.outputs[0]!.type;
  const type = elementTypeOf(dtype);
  if (!type) return undefined;
  if (nodeHasTrait(node, 'elementwise')) return { kind: 'op', op: node.op, attrs: node.attrs, inputs, type, shape };
  if (!isMoved(node.op)) return undefined;
  const rule = MOVEMENTS[node.op] as Rule<OpName>; // the union of rules takes the intersection of nodes
  return { ...rule(node, inputs), type, shape };
}

function isMoved(op: OpName): op is MovedName {
  return Object.hasOwn(MOVEMENTS, op);
}

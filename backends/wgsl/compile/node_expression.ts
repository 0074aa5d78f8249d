import { isFloat, type DType } from '../../../ir/dtypes/index.ts';
import type { Node } from '../../../ir/graph.ts';
import type { ElementType } from '../bundle/plan.ts';
import type { ValueExpression } from '../kernels/value_expression.ts';

/** How elements of a dtype lie on the device; undefined for codes, which only matrices hold. */
export function elementTypeOf(dtype: DType): ElementType | undefined {
  if (isFloat(dtype)) return 'f32';
  if (dtype === 'i64' || dtype === 'i32') return 'i32';
  return dtype === 'bool' ? 'bool' : undefined;
}

/**
 * The result of a node as an expression over its inputs; undefined for ops that are no elementwise function or
 * movement.
 */
export function nodeExpression(node: Node, inputs: readonly ValueExpression[]): ValueExpression | undefined {
  const { dtype, shape } = node.outputs[0]!.type;
  const type = elementTypeOf(dtype);
  const [input] = inputs;
  if (!type) return undefined;
  switch (node.op) {
    case 'add':
    case 'and':
    case 'cast':
    case 'div':
    case 'equal':
    case 'erf':
    case 'gelu_erf':
    case 'gelu_tanh':
    case 'less_equal':
    case 'mul':
    case 'not':
    case 'or':
    case 'sqrt':
    case 'sub':
    case 'tanh':
    case 'where':
      return { kind: 'op', op: node.op, inputs, type, shape };
    case 'iota':
      return { kind: 'iota', type, shape };
    case 'dim_value':
      return { kind: 'dim', dim: node.attrs.dim, type, shape };
    case 'reshape':
    case 'expand':
      return { kind: node.op, input: input!, type, shape };
    case 'transpose':
      return { kind: 'transpose', perm: node.attrs.perm, input: input!, type, shape };
    case 'slice':
      return { kind: 'slice', axis: node.attrs.axis, begin: node.attrs.begin, input: input!, type, shape };
    case 'take_last':
      return { kind: 'take_last', axis: node.attrs.axis, input: input!, type, shape };
    case 'concat':
      return { kind: 'concat', axis: node.attrs.axis, inputs, type, shape };
    case 'gather':
      return { kind: 'gather', table: input!, indices: inputs[1]!, type, shape };
    default:
      return undefined;
  }
}

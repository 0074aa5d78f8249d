import type { Node, Value } from '../../../../ir/graph.ts';
import { printType } from '../../../../ir/type.ts';
import { elementwiseKernel } from '../../kernels/elementwise.ts';
import type { ValueExpression } from '../../kernels/value_expression.ts';
import { expressionFor, isExpression, typeOf } from '../expression.ts';
import type { PhaseContext } from '../phase_context.ts';

/** Storage buffers beside the result. */
const MOST_OPERANDS = 7;

/**
 * Whatever computes each element from few others, as far back as nobody else reads what is between: a whole mask is one
 * kernel.
 */
export function expressionRegion(context: PhaseContext, node: Node): boolean {
  if (!isExpression(node)) return false;
  const root = node.outputs[0]!;
  if (root.type.shape.includes(0)) {
    context.write(root); // nothing to compute, and WGSL refuses to divide by a constant 0
    return true;
  }
  const whole = expressionFor(context, root);
  const { expression, operands } = whole.operands.length <= MOST_OPERANDS ? whole : expressionFor(context, root, 1);
  if (operands.length > MOST_OPERANDS) return false;
  const { name, doc } = described(expression, root);
  const kernel = elementwiseKernel({ name, doc, operands: operands.map(typeOf), result: expression });
  context.put({
    label: root.name,
    kernel,
    operands: [...operands.map((value) => context.read(value)), context.write(root)],
  });
  return true;
}

/**
 * A name by the first ops, those that come last first, and all of them for the reader: equal expressions have equal
 * ones.
 */
function described(expression: ValueExpression, root: Value): { readonly name: string; readonly doc: string } {
  const ops = [...new Set(opsOf(expression))];
  return {
    name: ops.slice(0, 3).join('_') || 'copy',
    doc: `${printType(root.type)} by ${ops.join(', ') || 'copying'}`,
  };
}

function opsOf(expression: ValueExpression): readonly string[] {
  const name = expression.kind === 'op' ? expression.op : expression.kind;
  const inner =
    'inputs' in expression
      ? expression.inputs
      : 'input' in expression
        ? [expression.input]
        : 'table' in expression
          ? [expression.table, expression.indices]
          : [];
  return [...(['operand', 'literal', 'reshape'].includes(name) ? [] : [name]), ...inner.flatMap(opsOf)];
}

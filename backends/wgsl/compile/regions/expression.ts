import type { Node } from '../../../../ir/graph.ts';
import { elementwiseKernel } from '../../kernels/elementwise.ts';
import { expressionFor, isExpression, typeOf } from '../expression.ts';
import type { PhaseContext } from '../phase_context.ts';

/** Storage buffers beside the result. */
const MOST_OPERANDS = 7;

/** Whatever computes each element from few others, as far back as nobody else reads what is between: a whole mask is one kernel. */
export function expressionRegion(context: PhaseContext, node: Node): boolean {
  if (!isExpression(node)) return false;
  const root = node.outputs[0]!;
  const whole = expressionFor(context, root);
  const { expression, operands } = whole.operands.length <= MOST_OPERANDS ? whole : expressionFor(context, root, 1);
  if (operands.length > MOST_OPERANDS) return false;
  const kernel = elementwiseKernel({ name: node.op, doc: `%${root.name}`, operands: operands.map(typeOf), result: expression });
  context.put({ label: root.name, kernel, operands: [...operands.map((value) => context.read(value)), context.write(root)] });
  return true;
}

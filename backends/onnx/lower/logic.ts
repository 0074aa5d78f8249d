import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** a ∨ b as ¬(¬a ∧ ¬b): the WebGPU provider of ONNX Runtime 1.30 has no Or, and bools would go to the CPU and back. */
export function lowerOrByAnd(context: LoweringContext, node: NodeOf<'or'>): void {
  const result = node.outputs[0]!;
  const [a, b] = node.inputs.map((value: Value) =>
    context.step('Not', [context.tensor(value)], `${value.name}.not`),
  ) as [string, string];
  context.emit('Not', [context.step('And', [a, b], `${result.name}.neither`)], result);
}

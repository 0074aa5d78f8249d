import type { NodeOf } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** ORT has no Where over bools: c·a + ¬c·b there. */
export function lowerWhere(context: LoweringContext, node: NodeOf<'where'>): void {
  const [condition, a, b] = node.inputs.map((value) => context.tensor(value)) as [string, string, string];
  const result = node.outputs[0]!;
  if (result.type.dtype !== 'bool') return context.emit('Where', [condition, a, b], result);
  const taken = context.step('And', [condition, a], `${result.name}.a`);
  const left = context.step('And', [context.step('Not', [condition], `${result.name}.not`), b], `${result.name}.b`);
  context.emit('Or', [taken, left], result);
}

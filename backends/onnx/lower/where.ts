import type { NodeOf } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** ORT has no Where over bools: c·a + ¬c·b there, as ¬(¬(c·a) · ¬(¬c·b)), for WebGPU has no Or. */
export function lowerWhere(context: LoweringContext, node: NodeOf<'where'>): void {
  const [condition, a, b] = node.inputs.map((value) => context.tensor(value)) as [string, string, string];
  const result = node.outputs[0]!;
  if (result.type.dtype !== 'bool') return context.emit('Where', [condition, a, b], result);
  const not = (tensor: string, hint: string) => context.step('Not', [tensor], `${result.name}.${hint}`);
  const and = (x: string, y: string, hint: string) => context.step('And', [x, y], `${result.name}.${hint}`);
  const neither = and(
    not(and(condition, a, 'a'), 'not_a'),
    not(and(not(condition, 'not'), b, 'b'), 'not_b'),
    'neither',
  );
  context.emit('Not', [neither], result);
}

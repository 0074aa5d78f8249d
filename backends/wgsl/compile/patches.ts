import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { PhaseContext } from './phase_context.ts';

/**
 * The convolution behind transpose(reshape(conv2d(x))) as [B, positions, outputs], as a picture becomes a sequence of
 * patches: a product of its windows gives just that. Undefined for other values.
 */
export function patchesOf(context: PhaseContext, value: Value): NodeOf<'conv2d'> | undefined {
  const transpose = context.definitionOf(value);
  if (transpose?.op !== 'transpose' || transpose.attrs.perm.join() !== '0,2,1') return undefined;
  const reshape = context.absorbable(transpose.inputs[0]!);
  if (reshape?.op !== 'reshape') return undefined;
  const conv = context.absorbable(reshape.inputs[0]!);
  if (conv?.op !== 'conv2d' || !context.constantOf(conv.inputs[1]!)) return undefined;
  const [, outputs, rows, columns] = conv.outputs[0]!.type.shape as readonly [unknown, number, number, number];
  const [, joinedOutputs, positions] = reshape.outputs[0]!.type.shape;
  return joinedOutputs === outputs && positions === rows * columns ? conv : undefined;
}

/** Whether a value is what `patchesOf` finds. */
export function isPatches(context: PhaseContext, value: Value): boolean {
  return patchesOf(context, value) !== undefined;
}

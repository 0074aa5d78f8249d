import type { Node, NodeOf, Value } from '../../../../ir/graph.ts';
import { sameType } from '../../../../ir/type.ts';
import { rmsNormKernel } from '../../kernels/norms.ts';
import type { PhaseContext } from '../phase_context.ts';

/** x + rms_norm(y), a branch with a norm behind it. */
interface Residual {
  readonly sum: Value;
  readonly residual: Value;
  readonly post: NodeOf<'rms_norm'>;
}

/**
 * The sum of a residual stream and a normalised branch, and the norm that reads it next: one reading of the stream for
 * both.
 */
export function residualNormRegion(context: PhaseContext, node: Node): boolean {
  const norm = node.op === 'rms_norm' ? node : undefined;
  const sum = norm ? norm.inputs[0]! : node.outputs[0]!;
  const found = residualOf(context, sum);
  if (!found || context.isDone(sum)) return false;
  const { post, residual } = found;
  const storeSum = !norm || context.isPort(sum) || context.usersOf(sum).length > 1;
  const kernel = rmsNormKernel({
    shape: sum.type.shape,
    post: { epsilon: post.attrs.epsilon },
    residual: true,
    ...(norm && { norm: { epsilon: norm.attrs.epsilon } }),
    storeSum,
  });
  const operands = [
    context.read(post.inputs[0]!),
    context.read(post.inputs[1]!),
    context.read(residual),
    ...(norm ? [context.read(norm.inputs[1]!)] : []),
    ...(storeSum ? [context.write(sum)] : []),
    ...(norm ? [context.write(norm.outputs[0]!)] : []),
  ];
  context.put({ label: norm ? norm.outputs[0]!.name : sum.name, kernel, operands });
  return true;
}

function residualOf(context: PhaseContext, sum: Value): Residual | undefined {
  const add = context.definitionOf(sum);
  if (add?.op !== 'add') return undefined;
  for (const [i, input] of add.inputs.entries()) {
    const post = context.absorbable(input);
    const residual = add.inputs[1 - i]!;
    if (post?.op === 'rms_norm' && sameType(residual.type, sum.type) && sameType(input.type, sum.type))
      return { sum, residual, post };
  }
  return undefined;
}

import type { Dim } from '../../../../ir/dim.ts';
import type { Node } from '../../../../ir/graph.ts';
import { attentionKernel } from '../../kernels/attention.ts';
import type { AttentionSpec } from '../../kernels/attention_spec.ts';
import { attentionStepKernels } from '../../kernels/attention_step.ts';
import type { Operand } from '../dispatch.ts';
import type { PhaseContext } from '../phase_context.ts';

/** Attention in tiles for many queries; for one query, over parts of the cache that are joined. */
export function attentionRegion(context: PhaseContext, node: Node): boolean {
  if (node.op !== 'attention') return false;
  const [q, k, , bias] = node.inputs;
  const out = node.outputs[0]!;
  const [batch, seq, heads, headDim] = q!.type.shape as readonly [Dim, Dim, number, number];
  const [, kvHeads, total] = k!.type.shape as readonly [Dim, number, Dim, Dim];
  const spec: AttentionSpec = {
    batch,
    seq,
    total,
    heads,
    kvHeads,
    headDim,
    softcap: node.attrs.softcap,
    bias: bias !== undefined,
  };
  const inputs = node.inputs.map((input) => context.read(input));
  if (seq !== 1) {
    context.put({ label: out.name, kernel: attentionKernel(spec), operands: [...inputs, context.write(out)] });
    return true;
  }
  const { split, join, scratch } = attentionStepKernels(spec);
  const memory = (label: string, sizes: readonly Dim[]): Operand => ({
    kind: 'scratch',
    scratch: { label: `${out.name}.${label}`, sizes },
  });
  const partial = memory('partial', scratch.partial);
  const stats = memory('stats', scratch.stats);
  // regions are put in from the last to the first, and so are the kernels of one
  context.put({ label: out.name, kernel: join, operands: [partial, stats, context.write(out)] });
  context.put({ label: `${out.name}.split`, kernel: split, operands: [...inputs, partial, stats] });
  return true;
}

import type { Dim } from '../../../../ir/dim.ts';
import type { Node, NodeOf, Value } from '../../../../ir/graph.ts';
import { ropeKernel } from '../../kernels/rope.ts';
import type { Operand } from '../dispatch.ts';
import type { PhaseContext } from '../phase_context.ts';

/** Rotated heads, scaled, or put behind a cache. */
export function ropeRegion(context: PhaseContext, node: Node): boolean {
  const found = ropeIn(context, node);
  if (!found) return false;
  const { rope, scale, past } = found;
  const [x, positions, cos, sin] = rope.inputs as readonly [Value, Value, Value, Value];
  const [cosines, sines] = [context.constantOf(cos), context.constantOf(sin)];
  if (!cosines || !sines) return false;
  const [batch, seq, heads, headDim] = x.type.shape as readonly [Dim, Dim, number, number];
  const table: Operand = { kind: 'range', range: context.store.rope(cos.name, cosines.data, sines.data) };
  const out = node.outputs[0]!;
  const kernel = ropeKernel({ batch, seq, heads, headDim, scale, ...(past !== undefined && { append: { past } }) });
  context.put({
    label: out.name,
    kernel,
    operands: [context.read(x), context.read(positions), table, context.write(out)],
  });
  return true;
}

function ropeIn(
  context: PhaseContext,
  node: Node,
): { readonly rope: NodeOf<'rope'>; readonly scale: number; readonly past?: Dim } | undefined {
  if (node.op === 'rope') return { rope: node, scale: 1 };
  const [a, b] = node.inputs as readonly [Value, Value];
  if (node.op === 'append_cache') {
    const rope = context.absorbable(b);
    return rope?.op === 'rope' ? { rope, scale: 1, past: a.type.shape[2]! } : undefined;
  }
  if (node.op !== 'mul') return undefined;
  const scale = context.constantOf(b)?.scalar;
  const rope = context.absorbable(a);
  return rope?.op === 'rope' && scale !== undefined ? { rope, scale } : undefined;
}

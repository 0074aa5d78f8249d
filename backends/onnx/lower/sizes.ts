import type { NodeOf } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** A dim as an i64 scalar. */
export function lowerDimValue(context: LoweringContext, node: NodeOf<'dim_value'>): void {
  context.emit('Identity', [context.dims.scalar(node.attrs.dim)], node.outputs[0]!);
}

/** 0, 1, … as i64. */
export function lowerIota(context: LoweringContext, node: NodeOf<'iota'>): void {
  const int = (value: number) => context.literal('i64', [], [value], `int_${value}`);
  context.emit('Range', [int(0), context.dims.scalar(node.attrs.length), int(1)], node.outputs[0]!);
}

import type { NodeOf, Value } from '../../../ir/graph.ts';
import { INT32, ofRank, typed, vectorType } from './attrs.ts';
import type { LoweringContext } from './context.ts';
import type { Operand } from './operand.ts';

/** The same elements in another shape. */
export function lowerReshape(context: LoweringContext, node: NodeOf<'reshape'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Reshape', [x, context.sizes.shape(node.attrs.shape, { mayInfer: true })], node.outputs[0]!, {
    ...typed(x),
    Tshape: INT32,
  });
}

/** On the way to something else. */
export function reshaped(context: LoweringContext, x: Operand, shape: Operand, rank: number, hint: string): Operand {
  return context.step('Reshape', [x, shape], hint, ofRank(x, rank), { ...typed(x), Tshape: INT32 });
}

/** Axes of size 1 repeated. */
export function lowerExpand(context: LoweringContext, node: NodeOf<'expand'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('BroadcastTo', [x, context.sizes.shape(node.attrs.shape, { mayInfer: false })], node.outputs[0]!, {
    ...typed(x),
    Tidx: INT32,
  });
}

/** Axes in another order. */
export function lowerTranspose(context: LoweringContext, node: NodeOf<'transpose'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Transpose', [x, context.ints(...node.attrs.perm)], node.outputs[0]!, { ...typed(x), Tperm: INT32 });
}

/** A node that puts the axes of an operand into another order. */
export function transposed(context: LoweringContext, x: Operand, perm: readonly number[], hint: string): Operand {
  return context.step('Transpose', [x, context.ints(...perm)], hint, x, { ...typed(x), Tperm: INT32 });
}

/** Tensors joined along an axis. */
export function lowerConcat(context: LoweringContext, node: NodeOf<'concat'>): void {
  const inputs = node.inputs.map((value) => context.tensor(value));
  if (inputs.length === 1) return context.alias(node.outputs[0]!, inputs[0]!);
  context.emit('ConcatV2', [...inputs, context.int(node.attrs.axis)], node.outputs[0]!, {
    ...typed(inputs[0]!),
    N: { int: inputs.length },
    Tidx: INT32,
  });
}

/** Entries `start` to `end` along an axis. */
export function lowerSlice(context: LoweringContext, node: NodeOf<'slice'>): void {
  const x = context.tensor(node.inputs[0]!);
  const { axis, begin, end } = node.attrs;
  const at = (value: number, rest: number) =>
    context.ints(...Array.from({ length: x.rank }, (_, i) => (i === axis ? value : rest)));
  context.emit('Slice', [x, at(begin, 0), at(end - begin, -1)], node.outputs[0]!, { ...typed(x), Index: INT32 });
}

/**
 * Begins at -count: 0 is the whole axis, and StridedSlice clamps a count beyond its size. The count is read on the
 * host: see Sizes.
 */
export function lowerTakeLast(context: LoweringContext, node: NodeOf<'take_last'>): void {
  const [xValue, countValue] = node.inputs as readonly [Value, Value];
  const [x, count] = [context.tensor(xValue), context.tensor(countValue)];
  const { axis } = node.attrs;
  const name = node.outputs[0]!.name;
  const negative = context.step('Sub', [context.int(0), count], `${name}.begin`, count, typed(count));
  const begin = context.step(
    'Pack',
    Array.from({ length: x.rank }, (_, i) => (i === axis ? negative : context.int(0))),
    `${name}.begins`,
    vectorType,
    { N: { int: x.rank }, axis: { int: 0 }, T: INT32 },
  );
  const all = Array.from({ length: x.rank }, () => 0);
  context.emit('StridedSlice', [x, begin, context.ints(...all), context.ints(...all.map(() => 1))], node.outputs[0]!, {
    ...typed(x),
    Index: INT32,
    begin_mask: { int: 0 },
    end_mask: { int: 2 ** x.rank - 1 },
    ellipsis_mask: { int: 0 },
    new_axis_mask: { int: 0 },
    shrink_axis_mask: { int: 0 },
  });
}

/** As a tensor of its own: kernels compute with it. */
export function lowerDimValue(context: LoweringContext, node: NodeOf<'dim_value'>): void {
  const { dim } = node.attrs;
  if (typeof dim === 'number')
    return context.alias(node.outputs[0]!, context.literal('i32', [], [dim], node.outputs[0]!.name));
  const size = context.sizes.fresh(dim);
  context.emit('Identity', [size], node.outputs[0]!, typed(size));
}

/** 0, 1, … as i32: tfjs has no i64. */
export function lowerIota(context: LoweringContext, node: NodeOf<'iota'>): void {
  context.emit('Range', [context.int(0), context.sizes.scalar(node.attrs.length), context.int(1)], node.outputs[0]!, {
    Tidx: INT32,
  });
}

import { sameDim, type Dim } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** End of an axis in Slice, whatever its size. */
const END = 0x7fffffffffffffffn;

/**
 * Reshape's own signs are used while they say all: 0 copies the operand's size at that axis, one -1 takes the rest
 * (beside it a copied size must not be 0). Otherwise the sizes are computed from the shapes of inputs, and 0 means 0.
 */
export function lowerReshape(context: LoweringContext, node: NodeOf<'reshape'>): void {
  const from = node.inputs[0]!.type.shape;
  const to = node.attrs.shape;
  const isCopied = (dim: Dim, axis: number) => axis < from.length && sameDim(from[axis]!, dim);
  const others = to.filter((dim, axis) => typeof dim !== 'number' && !isCopied(dim, axis)).length;
  const signs = others <= 1 && !to.includes(0);
  const keep = (dim: Dim, axis: number) => (signs ? (isCopied(dim, axis) ? 0 : -1) : undefined);
  const shape = context.dims.shape(to, keep, `${node.outputs[0]!.name}.shape`);
  context.emit('Reshape', [context.tensor(node.inputs[0]!), shape], node.outputs[0]!, signs ? {} : { allowzero: 1 });
}

/** A size of 1 keeps the operand's. */
export function lowerExpand(context: LoweringContext, node: NodeOf<'expand'>): void {
  const from = node.inputs[0]!.type.shape;
  const lead = node.attrs.shape.length - from.length;
  const keep = (dim: Dim, axis: number) => (axis >= lead && sameDim(from[axis - lead]!, dim) ? 1 : undefined);
  const shape = context.dims.shape(node.attrs.shape, keep, `${node.outputs[0]!.name}.shape`);
  context.emit('Expand', [context.tensor(node.inputs[0]!), shape], node.outputs[0]!);
}

/** Axes in another order. */
export function lowerTranspose(context: LoweringContext, node: NodeOf<'transpose'>): void {
  context.emit('Transpose', [context.tensor(node.inputs[0]!)], node.outputs[0]!, { perm: node.attrs.perm });
}

/** Tensors joined along an axis. */
export function lowerConcat(context: LoweringContext, node: NodeOf<'concat'>): void {
  context.emit(
    'Concat',
    node.inputs.map((value) => context.tensor(value)),
    node.outputs[0]!,
    { axis: node.attrs.axis },
  );
}

/** Entries `start` to `end` along an axis. */
export function lowerSlice(context: LoweringContext, node: NodeOf<'slice'>): void {
  const { axis, begin, end } = node.attrs;
  sliceAxis(context, node.inputs[0]!, context.ints(begin), context.ints(end), axis, node.outputs[0]!);
}

/** Starts at -count: 0 is the whole axis, and Slice clamps a count beyond its size. */
export function lowerTakeLast(context: LoweringContext, node: NodeOf<'take_last'>): void {
  const [x, count] = node.inputs as readonly [Value, Value];
  const result = node.outputs[0]!;
  const start = context.step(
    'Neg',
    [context.step('Reshape', [context.tensor(count), context.ints(1)], `${result.name}.count`)],
    `${result.name}.start`,
  );
  sliceAxis(context, x, start, context.ints(END), node.attrs.axis, result);
}

function sliceAxis(context: LoweringContext, x: Value, begin: string, end: string, axis: number, result: Value): void {
  context.emit('Slice', [context.tensor(x), begin, end, context.ints(axis)], result);
}

import { sameDim, type Dim } from './dim.ts';
import { IrTypeError } from './error.ts';
import type { RawTensor } from './op.ts';
import { elementCount, type Tensor } from './tensor.ts';
import { printShape } from './type.ts';

/** NumPy broadcasting of shapes. @throws IrTypeError */
export function broadcastShapes(shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const d = shape[axis - (rank - shape.length)] ?? 1;
      if (d === 1 || sameDim(d, result)) continue;
      if (result !== 1) throw new IrTypeError(`${shapes.map(printShape).join(' and ')} do not broadcast`);
      result = d;
    }
    return result;
  });
}

/** For each element of `shape` in C order, the offset of the operand's element that broadcasts to it. */
export function broadcastOffsets(from: readonly number[], shape: readonly number[]): Int32Array | undefined {
  const count = elementCount(shape);
  if (elementCount(from) === count) return undefined;
  const lead = shape.length - from.length;
  const offsets = new Int32Array(count);
  let block = 1;
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    const own = axis < lead ? 1 : from[axis - lead]!;
    for (let i = count === 0 ? size : 1; i < size; i++) {
      const shift = own === 1 ? 0 : i * stride;
      for (let j = 0; j < block; j++) offsets[i * block + j] = offsets[j]! + shift;
    }
    block *= size;
    stride *= own;
  }
  return offsets;
}

/** Applies `f` elementwise to broadcast operands. @param take memory for the result */
export function mapBroadcast(
  inputs: readonly Tensor[],
  f: (...values: number[]) => number,
  take: (length: number) => Float64Array | Float32Array = (length) => new Float64Array(length),
): RawTensor {
  const shape = broadcastShapes(inputs.map((t) => t.shape)) as number[];
  const out = take(elementCount(shape));
  const [a, b, c] = inputs;
  const x = a!.data;
  if (!b) {
    for (let i = 0; i < out.length; i++) out[i] = f(x[i]!);
    return { shape, data: out };
  }
  const y = b.data;
  const isNumber = y.length === 1; // beside a tensor, or tensors of one shape: no offsets
  if (!c && x.length === out.length && (isNumber || y.length === out.length)) {
    for (let i = 0; i < out.length; i++) out[i] = f(x[i]!, y[isNumber ? 0 : i]!);
    return { shape, data: out };
  }
  const [oa, ob, oc] = inputs.map((t) => broadcastOffsets(t.shape, shape));
  if (!c) {
    for (let i = 0; i < out.length; i++) out[i] = f(x[oa ? oa[i]! : i]!, y[ob ? ob[i]! : i]!);
  } else {
    const z = c.data;
    for (let i = 0; i < out.length; i++) out[i] = f(x[oa ? oa[i]! : i]!, y[ob ? ob[i]! : i]!, z[oc ? oc[i]! : i]!);
  }
  return { shape, data: out };
}

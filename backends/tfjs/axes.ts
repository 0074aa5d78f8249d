import { elementCount, tensorOf, type Tensor } from '../../ir/tensor.ts';

/** The first `size` entries along an axis; zeros behind those that there are. */
export function resized({ dtype, shape, data }: Tensor, axis: number, size: number): Tensor {
  const to = shape.with(axis, size);
  const inner = elementCount(shape.slice(axis + 1));
  const out = new Float64Array(elementCount(to));
  const own = shape[axis]! * inner;
  const kept = Math.min(own, size * inner);
  for (let row = 0; row < elementCount(shape.slice(0, axis)); row++)
    out.set(data.subarray(row * own, row * own + kept), row * size * inner);
  return tensorOf(dtype, to, out);
}

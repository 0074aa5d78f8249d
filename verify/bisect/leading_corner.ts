import { dtypes } from '../../ir/dtypes/index.ts';
import { elementCount, type Tensor } from '../../ir/tensor.ts';

/**
 * The elements of a tensor at indices below those of a shape: a cache with room holds what one without has there.
 * Undefined where the tensor has fewer, or another number of axes.
 */
export function leadingCorner(tensor: Tensor, shape: readonly number[]): Tensor | undefined {
  const fits = tensor.shape.length === shape.length && shape.every((size, axis) => size <= tensor.shape[axis]!);
  if (!fits) return undefined;
  if (shape.join() === tensor.shape.join()) return tensor;
  const data = dtypes[tensor.dtype].allocate(elementCount(shape));
  for (let at = 0; at < data.length; at++) {
    let [rest, from, stride] = [at, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += (rest % shape[axis]!) * stride;
      rest = Math.floor(rest / shape[axis]!);
      stride *= tensor.shape[axis]!;
    }
    data[at] = tensor.data[from]!;
  }
  return { dtype: tensor.dtype, shape, data };
}

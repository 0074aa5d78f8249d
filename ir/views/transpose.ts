import { dtypes } from '../dtypes/index.ts';
import type { TensorData } from '../tensor.ts';
import { isStraight, makeView, mergedAxes, viewBehind } from './view.ts';
import { windowOf } from './window.ts';

/**
 * `data.transpose(perm)`. One 2-D matrix is held while it is read (see permutedData); transposes of transposes compose,
 * through casts and through reshapes that join axes, and read straight through when they cancel.
 * @throws RangeError when perm is no permutation or elements share bytes.
 */
export function transposeData(data: TensorData, perm: readonly number[]): TensorData {
  const rank = data.shape.length;
  if (perm.length !== rank || perm.toSorted((a, b) => a - b).some((axis, i) => axis !== i))
    throw new RangeError(`[${perm.join(', ')}] is no permutation of ${rank} axes`);
  if (dtypes[data.dtype].bits < 8) throw new RangeError(`${data.dtype} elements share bytes and cannot be transposed`);
  const view = viewBehind(data);
  const shape = perm.map((axis) => data.shape[axis]!);
  if (isStraight(view)) {
    const source = sameList(view.source.shape, data.shape) ? view.source : windowOf(view.source, 0, data.shape);
    return makeView({ source, perm, shape, dtype: view.dtype });
  }
  const groups = mergedAxes(
    view.perm.map((axis) => view.source.shape[axis]!),
    data.shape,
  );
  if (!groups) return makeView({ source: data, perm, shape, dtype: data.dtype });
  const axes = perm.flatMap((axis) => groups[axis]!);
  const unit = view.perm.map((_, i) => i).filter((i) => !axes.includes(i)); // axes of size 1 that no group needed
  return makeView({ ...view, perm: [...axes, ...unit].map((i) => view.perm[i]!), shape });
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

import { dtypes, type DType } from '../dtypes/index.ts';
import { elementCount, type TensorData } from '../tensor.ts';
import { convertedData } from './convert.ts';
import { permutedData, simplifyPermutation } from './permute.ts';
import { windowOf } from './window.ts';

/**
 * What a lazy view is made of: the axes of `source` permuted, then reshaped to `shape`, then each element cast to
 * `dtype`. Views of views compose into one of these, so that a transpose of a transpose reads straight through, and a
 * widening followed by a narrowing is one step.
 */
export interface View {
  readonly source: TensorData;
  readonly perm: readonly number[];
  readonly shape: readonly number[];
  readonly dtype: DType;
}

const views = new WeakMap<TensorData, View>();

/** How `data` is made; data that is no view is its own source. */
export function viewBehind(data: TensorData): View {
  return (
    views.get(data) ?? { source: data, perm: data.shape.map((_, axis) => axis), shape: data.shape, dtype: data.dtype }
  );
}

/** Whether the permutation moves nothing. */
export function isStraight({ source, perm }: View): boolean {
  return simplifyPermutation(source.shape, perm).perm.length <= 1;
}

/** The data of a view: the source itself when nothing is left to do. */
export function makeView(view: View): TensorData {
  const { source, shape, dtype } = view;
  const permutation = simplifyPermutation(source.shape, view.perm);
  if (permutation.perm.length > 1) return remember(permuteAndCast(view), view);
  const straight = { ...view, perm: source.shape.map((_, axis) => axis) };
  if (dtype !== source.dtype) return remember(convertedData(source, dtype, shape), straight);
  if (shape.length === source.shape.length && shape.every((d, axis) => d === source.shape[axis])) return source;
  return remember(windowOf(source, 0, shape), straight);
}

/** The narrower dtype is the one that moves: fewer bytes to hold. 4-bit elements share bytes and cannot move. */
function permuteAndCast({ source, perm, shape, dtype }: View): TensorData {
  const permutation = simplifyPermutation(source.shape, perm);
  const [fromBits, toBits] = [dtypes[source.dtype].bits, dtypes[dtype].bits];
  const moved =
    fromBits < 8 && toBits < 8 ? 'f32' : fromBits < 8 || (toBits >= 8 && toBits < fromBits) ? dtype : source.dtype;
  const permuted = permutedData(
    moved === source.dtype ? source : convertedData(source, moved, source.shape),
    permutation,
    shape,
  );
  return moved === dtype ? permuted : convertedData(permuted, dtype, shape);
}

function remember(data: TensorData, view: View): TensorData {
  views.set(data, view);
  return data;
}

/** For each axis of `merged`, the run of axes of `shape` that it joins; undefined when an axis is split. */
export function mergedAxes(shape: readonly number[], merged: readonly number[]): number[][] | undefined {
  if (elementCount(shape) === 0) return undefined;
  const groups: number[][] = [];
  let axis = 0;
  for (const size of merged) {
    const group: number[] = [];
    let product = 1;
    while (product < size && axis < shape.length) {
      product *= shape[axis]!;
      group.push(axis++);
    }
    if (product !== size) return undefined;
    groups.push(group);
  }
  return groups;
}

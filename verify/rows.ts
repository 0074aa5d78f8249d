import type { NumberArray } from '../ir/dtypes/codec.ts';
import type { Tensor } from '../ir/tensor.ts';

/** Some rows of a tensor's last axis, in place: what metrics compare. */
export interface Rows {
  readonly data: NumberArray;
  /** Offset of each row's first element. */
  readonly starts: readonly number[];
  /** Elements of each row that count. */
  readonly columns: number;
}

export interface RowSelection {
  /** Elements of the last axis that count; default all. Vocabularies are compared on the columns that carry meaning. */
  readonly columns?: number;
  /** For each row (product of the leading axes, in order), whether it counts; default all do. Padding does not. */
  readonly valid?: readonly boolean[];
}

/** The last axis of a tensor as rows that can be compared, without a copy. */
export function rowsOf({ shape, data }: Tensor, { columns, valid }: RowSelection = {}): Rows {
  const width = shape.at(-1) ?? 1;
  const count = width === 0 ? 0 : data.length / width;
  const starts: number[] = [];
  for (let row = 0; row < count; row++) if (valid?.[row] ?? true) starts.push(row * width);
  return { data, starts, columns: Math.min(columns ?? width, width) };
}

/** The last `count` positions of a tensor [batch, positions, width]. */
export function lastPositions(tensor: Tensor, count: number): Tensor {
  const [batch, positions, width] = tensor.shape as readonly [number, number, number];
  if (count >= positions) return tensor;
  return slicePositions(tensor, positions - count, positions, [batch, count, width]);
}

/** Positions [begin, end) of a tensor [batch, positions, width]. */
export function slicePositions(
  tensor: Tensor,
  begin: number,
  end: number,
  shape = [tensor.shape[0]!, end - begin, tensor.shape[2]!],
): Tensor {
  const [batch, positions, width] = tensor.shape as readonly [number, number, number];
  const data = tensor.data.slice(0, batch * (end - begin) * width);
  for (let b = 0; b < batch; b++)
    data.set(
      tensor.data.subarray((b * positions + begin) * width, (b * positions + end) * width),
      b * (end - begin) * width,
    );
  return { dtype: tensor.dtype, shape, data };
}

/** Tensors [batch, n, width] joined along positions. */
export function joinPositions(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const [batch, , width] = first!.shape as readonly [number, number, number];
  const total = parts.reduce((sum, part) => sum + part.shape[1]!, 0);
  const data = new Float32Array(batch * total * width);
  let at = 0;
  for (const { shape, data: part } of parts) {
    const size = shape[1]! * width;
    for (let b = 0; b < batch; b++) data.set(part.subarray(b * size, (b + 1) * size), b * total * width + at);
    at += size;
  }
  return { dtype: first!.dtype, shape: [batch, total, width], data };
}

/** One member of the batch of a tensor [batch, ...]. */
export function batchMember(tensor: Tensor, index: number): Tensor {
  const size = tensor.data.length / tensor.shape[0]!;
  return {
    dtype: tensor.dtype,
    shape: [1, ...tensor.shape.slice(1)],
    data: tensor.data.slice(index * size, (index + 1) * size),
  };
}

/** Indices along each axis of the element at a flat offset. */
export function coordinates(shape: readonly number[], flat: number): number[] {
  const indices: number[] = [];
  let rest = flat;
  for (const size of shape.toReversed()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return indices;
}

import type { PlannedValue } from '../bundle/plan.ts';
import { sizeOf, type Sizes } from './sizes.ts';

/** Elements of a value: 32 bits each. */
export type Elements = Float32Array | Int32Array | Uint32Array;

/** A run of `length` elements that lie together: `packed` counts without the room of what grows, `stored` with it. */
interface Runs {
  readonly shape: readonly number[];
  readonly count: number;
  readonly length: number;
  readonly stride: number;
  /** Elements that the buffer holds for it. */
  readonly storedLength: number;
}

/** How a value lies for these sizes: rows of its growing axis begin `capacity` apart. */
export function runsOf({ shape, growing }: PlannedValue, sizes: Sizes, capacity: number): Runs {
  const numbers = shape.map((size) => sizeOf(size, sizes));
  const product = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);
  if (growing === undefined)
    return {
      shape: numbers,
      count: 1,
      length: product(numbers),
      stride: product(numbers),
      storedLength: product(numbers),
    };
  const inner = product(numbers.slice(growing + 1));
  const count = product(numbers.slice(0, growing));
  return {
    shape: numbers,
    count,
    length: numbers[growing]! * inner,
    stride: capacity * inner,
    storedLength: count * capacity * inner,
  };
}

/** Packed elements as they lie in the buffer, piece by piece. */
export function* storedPieces(
  data: Elements,
  { count, length, stride }: Runs,
): Generator<{ readonly offset: number; readonly piece: Elements }> {
  if (length === 0) return;
  for (let i = 0; i < count; i++) yield { offset: i * stride, piece: data.subarray(i * length, (i + 1) * length) };
}

/** The other way: the elements of a whole buffer without the room between. */
export function packed<E extends Elements>(stored: E, { count, length, stride }: Runs): E {
  if (count === 1) return stored.subarray(0, length) as E;
  const out = stored.slice(0, count * length) as E;
  for (let i = 0; i < count; i++) out.set(stored.subarray(i * stride, i * stride + length), i * length);
  return out;
}

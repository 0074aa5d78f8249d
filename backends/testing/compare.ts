import { expect } from 'vitest';
import type { Tensor } from '../../ir/tensor.ts';

/** |actual - expected| ≤ absolute + relative · |expected| for each element; NaN equals NaN. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** Fails with the worst element when two tensors differ in dtype, shape or beyond the tolerance. */
export function expectClose(
  name: string,
  actual: Tensor | undefined,
  expected: Tensor,
  { absolute, relative }: Tolerance,
): void {
  expect({ name, dtype: actual?.dtype, shape: actual?.shape }).toEqual({
    name,
    dtype: expected.dtype,
    shape: expected.shape,
  });
  let worst = { excess: 0, message: '' };
  expected.data.forEach((e, i) => {
    const a = actual!.data[i]!;
    if (Object.is(a, e) || a === e) return;
    const excess = Math.abs(a - e) - absolute - relative * Math.abs(e);
    if (!(excess <= worst.excess)) worst = { excess, message: `${name}[${i}] is ${a}, expected ${e}` };
  });
  expect(worst.message).toBe('');
}

import { BackendError } from '../../error.ts';
import type { ElementType } from '../bundle/plan.ts';

const LARGEST = 3.4028234663852886e38;

/**
 * A number of a type as WGSL. Infinities are the largest finite numbers, which a mask means as well.
 * @throws BackendError for NaN and integers beyond i32
 */
export function literalText({ type, value }: { readonly type: ElementType; readonly value: number }): string {
  if (type === 'bool') return value === 0 ? 'false' : 'true';
  if (type === 'i32') {
    if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31)
      throw new BackendError('unsupported', `the WGSL backend has integers of 32 bits, not ${value}`);
    return value === -(2 ** 31) ? 'i32(-2147483648)' : value < 0 ? `(${value})` : `${value}i`;
  }
  if (Number.isNaN(value)) throw new BackendError('unsupported', 'WGSL has no NaN');
  const f32 = Math.min(Math.max(Math.fround(value), -LARGEST), LARGEST);
  const text = String(f32);
  return f32 < 0 ? `(${text}f)` : `${text}f`;
}

import { isFloat, type DType } from '../../../ir/dtypes/index.ts';
import type { ElementType } from '../bundle/plan.ts';

/** How elements of a dtype lie on the device; undefined for codes, which only matrices hold. */
export function elementTypeOf(dtype: DType): ElementType | undefined {
  if (isFloat(dtype)) return 'f32';
  if (dtype === 'i64' || dtype === 'i32') return 'i32';
  return dtype === 'bool' ? 'bool' : undefined;
}

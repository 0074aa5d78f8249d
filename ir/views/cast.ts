import { dtypes, type DType } from '../dtypes/index.ts';
import type { TensorData } from '../tensor.ts';
import { convertedData } from './convert.ts';
import { makeView, viewBehind } from './view.ts';

/** Each element rounded to `dtype`. f16 overflow becomes ±Infinity here: whoever writes the bytes looks for it. */
export function castData(data: TensorData, dtype: DType): TensorData {
  if (data.dtype === dtype) return data;
  const view = viewBehind(data);
  if (isExact(view.source.dtype, view.dtype)) return makeView({ ...view, dtype });
  return makeView({ ...view, source: convertedData(view.source, view.dtype, view.source.shape), dtype });
}

/**
 * Whether every element survives the cast, so that a further cast may start from the source. f32 holds all of 16 bits
 * or fewer.
 */
function isExact(from: DType, to: DType): boolean {
  return from === to || (to === 'f32' && dtypes[from].bits <= 16);
}

import type { Dim } from '../../../ir/dim.ts';
import type { Kernel } from './kernel.ts';

export interface AppendCacheSpec {
  readonly batch: Dim;
  readonly seq: Dim;
  readonly heads: number;
  readonly headDim: number;
  readonly past: Dim;
}

/** x[batch, seq, heads, headDim] into cache[batch, heads, past + seq, headDim] behind its `past` rows, in place: bindings x, cache. */
export function appendCacheKernel(_spec: AppendCacheSpec): Kernel {
  throw new Error('being written');
}

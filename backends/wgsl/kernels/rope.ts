import type { Dim } from '../../../ir/dim.ts';
import type { Kernel } from './kernel.ts';

export interface RopeSpec {
  readonly batch: Dim;
  readonly seq: Dim;
  readonly heads: number;
  readonly headDim: number;
  /** Factor of the result; 1: none. */
  readonly scale: number;
  /** The result goes into a cache [batch, heads, past + seq, headDim] behind its `past` rows, rather than to [batch, seq, heads, headDim]. */
  readonly append?: { readonly past: Dim };
}

/** x[batch, seq, heads, headDim] rotated: bindings x, positions (i32 [batch, seq]), rope ([P, headDim]: cosines, then sines), out. */
export function ropeKernel(_spec: RopeSpec): Kernel {
  throw new Error('being written');
}

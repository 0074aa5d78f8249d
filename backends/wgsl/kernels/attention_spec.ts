import type { Dim } from '../../../ir/dim.ts';

/** Attention as the IR's op states it: softmax(cap(q·kᵀ) + bias)·v. */
export interface AttentionSpec {
  readonly batch: Dim;
  /** Queries: q and the result are packed [batch, seq, heads, headDim]. */
  readonly seq: Dim;
  /**
   * Keys: k and v are [batch, kvHeads, total, headDim], the bias [batch, 1, seq, total]; a total with `past` lies at
   * capacity.
   */
  readonly total: Dim;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** 0: none. */
  readonly softcap: number;
  readonly bias: boolean;
}

import type { GraphBuilder } from '../../../ir/builder.ts';
import { addDims, type Dim } from '../../../ir/dim.ts';
import type { Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';

/** big_vision's masked score (spec B.2): finite in f32, so that a fully masked row gives numbers and not NaN. */
export const MASKED = -2.3819763e38;

export interface MaskOptions {
  readonly batch: Dim;
  readonly seq: Dim;
  readonly past: Dim;
  /** Tokens that a query past the prompt sees; 0, the default, for all. */
  readonly window?: number;
}

/**
 * The prefix-LM mask as an additive bias f32[batch, 1, seq, past + seq] (spec B.2). The client sends only which keys
 * are padding (attention_mask i64[batch, past + seq]), so the graph tells image and prompt from answer by the cache: an
 * empty one means prefill, where all see all; else new tokens see the cache and what came before them, at most `window`
 * tokens with themselves. Both are counted in slots, padding included, as Hugging Face counts (masking_utils.py).
 */
export function prefixMask(
  b: GraphBuilder,
  attentionMask: Value,
  { batch, seq, past, window = 0 }: MaskOptions,
): Value {
  const total = addDims(past, seq);
  const integer = (value: number) => b.literal('i64', [], [value]);
  const pastLength = b.op(ops.dim_value, [], { dim: past });
  const key = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, 1, 1, total] });
  const query = b.op(ops.reshape, [b.op(ops.add, [b.op(ops.iota, [], { length: seq }), pastLength], {})], {
    shape: [1, 1, seq, 1],
  });
  const causal = b.op(ops.less_equal, [key, query], {});
  const near =
    window === 0
      ? causal
      : b.op(ops.and, [causal, b.op(ops.less_equal, [query, b.op(ops.add, [key, integer(window - 1)], {})], {})], {});
  const visible = b.op(ops.or, [near, b.op(ops.equal, [pastLength, integer(0)], {})], {});
  const padding = b.op(
    ops.equal,
    [b.op(ops.reshape, [attentionMask], { shape: [batch, 1, 1, total] }), integer(0)],
    {},
  );
  const allowed = b.op(ops.and, [visible, b.op(ops.not, [padding], {})], {});
  return b.op(ops.where, [allowed, b.literal('f32', [], [0]), b.literal('f32', [], [MASKED])], {});
}

import type { Dim } from '../../../ir/dim.ts';
import type { AttentionSpec } from './attention.ts';
import type { Kernel } from './kernel.ts';

export interface AttentionSplits {
  /** Bindings q, k, v, [bias], partial, stats. */
  readonly split: Kernel;
  /** Bindings partial, stats, out. */
  readonly join: Kernel;
  /** Sizes whose products are the f32 of the scratch buffers `partial` and `stats`, already with `capacity` in place of what grows. */
  readonly scratch: { readonly partial: readonly Dim[]; readonly stats: readonly Dim[] };
}

/** For one query a sequence (spec.seq is 1). Each workgroup reads 64 rows of one KV head once, for all query heads that share it. */
export function attentionStepKernels(_spec: AttentionSpec): AttentionSplits {
  throw new Error('being written');
}

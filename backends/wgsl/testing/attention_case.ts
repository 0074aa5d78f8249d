import { addDims, sym, type Dim } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import type { AttentionSpec } from '../kernels/attention_spec.ts';

export interface AttentionSizes extends Pick<AttentionSpec, 'heads' | 'kvHeads' | 'headDim' | 'softcap' | 'bias'> {
  readonly seq: number;
  readonly past: number;
}

interface Placed {
  readonly tensor: Tensor;
  readonly shape: readonly Dim[];
}

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const total = addDims(past, seq);

/** Two sequences: operands as a kernel has them, keys and values with room for more, and what comes out. */
export async function attentionCase({ seq: queries, past: cached, ...rest }: AttentionSizes): Promise<{
  spec: AttentionSpec;
  sizes: Record<string, number>;
  inputs: readonly Placed[];
  result: Placed;
}> {
  const { heads, kvHeads, headDim, softcap, bias } = rest;
  const keys = cached + queries;
  const [q, k, v] = [
    randomTensor('f32', [2, queries, heads, headDim], 1),
    randomTensor('f32', [2, kvHeads, keys, headDim], 2),
    randomTensor('f32', [2, kvHeads, keys, headDim], 3),
  ];
  const mask = masks(queries, keys);
  const cacheShape = [batch, kvHeads, total, headDim];
  const queryShape = [batch, seq, heads, headDim];
  return {
    spec: { batch, seq, total, ...rest },
    sizes: { batch: 2, seq: queries, past: cached, capacity: keys + 5 },
    inputs: [
      { tensor: q, shape: queryShape },
      { tensor: k, shape: cacheShape },
      { tensor: v, shape: cacheShape },
      ...(bias ? [{ tensor: mask, shape: [batch, 1, seq, total] }] : []),
    ],
    result: { tensor: await runOp(ops.attention, bias ? [q, k, v, mask] : [q, k, v], { softcap }), shape: queryShape },
  };
}

/** Some keys masked, all of them for the first query of the second sequence. */
function masks(queries: number, keys: number): Tensor {
  const values = Array.from({ length: 2 * queries * keys }, (_, i) =>
    Math.floor(i / keys) === queries || (i % keys) % 3 === 1 ? -2.3819763e38 : (i % 7) / 5,
  );
  return tensorOf('f32', [2, 1, queries, keys], values);
}

import { float } from '../attr.ts';
import { scaleDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite, type Emitter, type Value } from '../op.ts';
import { printType, sameShape, tensorType } from '../type.ts';
import { add } from './add.ts';
import { cast } from './cast.ts';
import { expand } from './expand.ts';
import { matmul } from './matmul.ts';
import { mul } from './mul.ts';
import { reshape } from './reshape.ts';
import { softmax } from './softmax.ts';
import { tanh } from './tanh.ts';
import { transpose } from './transpose.ts';

export const attention = composite({
  name: 'attention',
  doc:
    'softmax(cap(q·kᵀ) + bias)·v. q[B, S, N, H] (already scaled), k and v[B, K, T, H] as a KV cache keeps them, ' +
    'optional additive f32 bias[B, 1, S, T]; result [B, S, N, H]. Query heads j·N/K … (j+1)·N/K - 1 share KV head j ' +
    '(grouped-query attention, arXiv:2305.13245). cap(x) is softcap·tanh(x / softcap), or x when softcap is 0. ' +
    'Scores leave the product in q’s dtype; cap, bias and softmax are f32.',
  operands: ['q', 'k', 'v', 'bias?'],
  attrs: { softcap: float() },
  traits: [],
  castPolicy: 'compute',
  f32Operands: ['bias?'],
  infer([q, k, v, bias]) {
    const all = [q!, k!, v!, ...(bias ? [bias] : [])];
    const message = `attention of ${all.map(printType).join(', ')}`;
    expectType([q!, k!, v!].every((t) => t.dtype === q!.dtype && t.shape.length === 4) && isFloat(q!.dtype), message);
    const [batch, seq, heads, size] = q!.shape as readonly [Dim, Dim, Dim, Dim];
    const [, kvHeads, total] = k!.shape as readonly [Dim, Dim, Dim, Dim];
    const grouped = typeof heads === 'number' && typeof kvHeads === 'number' && heads % kvHeads === 0;
    expectType(grouped && sameShape(k!.shape, [batch, kvHeads, total, size]) && sameShape(v!.shape, k!.shape), message);
    expectType(!bias || (bias.dtype === 'f32' && sameShape(bias.shape, [batch, 1, seq, total])), message);
    return [tensorType(q!.dtype, q!.shape)];
  },
  /** The fold: the queries of one KV head are one matrix [N/K·S, H], so that a step is one product per KV head. */
  decompose(b, [q, k, v, bias], { softcap }) {
    const [batch, seq, heads, size] = q!.type.shape as readonly [Dim, Dim, number, number];
    const [, kvHeads, total] = k!.type.shape as readonly [Dim, number, Dim, Dim];
    const group = heads / kvHeads;
    const folded = [batch, kvHeads, scaleDim(seq, group), size];
    const grouped = b.op(transpose, [b.op(reshape, [q!], { shape: [batch, seq, kvHeads, group, size] })], {
      perm: [0, 2, 3, 1, 4],
    });
    const queries = b.op(reshape, [grouped], { shape: folded });
    const product = b.op(matmul, [queries, b.op(transpose, [k!], { perm: [0, 1, 3, 2] })], {});
    let scores = product.type.dtype === 'f32' ? product : b.op(cast, [product], { to: 'f32' });
    if (softcap !== 0) scores = cap(b, scores, softcap);
    if (bias) scores = b.op(add, [scores, foldBias(b, bias, group, batch, seq, total)], {});
    const weights = b.op(softmax, [scores], {});
    const mixed = b.op(
      matmul,
      [weights.type.dtype === v!.type.dtype ? weights : b.op(cast, [weights], { to: v!.type.dtype }), v!],
      {},
    );
    const unfolded = b.op(reshape, [mixed], { shape: [batch, kvHeads, group, seq, size] });
    return [
      b.op(reshape, [b.op(transpose, [unfolded], { perm: [0, 3, 1, 2, 4] })], { shape: [batch, seq, heads, size] }),
    ];
  },
});

function cap(b: Emitter, x: Value, softcap: number): Value {
  const bounded = b.op(tanh, [b.op(mul, [x, b.literal('f32', [], [1 / softcap])], {})], {});
  return b.op(mul, [bounded, b.literal('f32', [], [softcap])], {});
}

/** bias[B, 1, S, T] repeated for each query of a group: [B, 1, N/K·S, T]. */
function foldBias(b: Emitter, bias: Value, group: number, batch: Dim, seq: Dim, total: Dim): Value {
  if (group === 1) return bias;
  const repeated = b.op(expand, [bias], { shape: [batch, group, seq, total] });
  return b.op(reshape, [repeated], { shape: [batch, 1, scaleDim(seq, group), total] });
}

import { expect } from 'vitest';
import { addDims, sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { attentionKernel } from './attention.ts';

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const total = addDims(past, seq);

interface Case {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly softcap: number;
  readonly bias: boolean;
  readonly seq: number;
  readonly past: number;
}

const CASES: readonly Case[] = [
  { heads: 4, kvHeads: 1, headDim: 256, softcap: 0, bias: true, seq: 9, past: 26 },
  { heads: 4, kvHeads: 2, headDim: 128, softcap: 2, bias: true, seq: 5, past: 0 },
  { heads: 3, kvHeads: 3, headDim: 72, softcap: 0, bias: false, seq: 37, past: 0 },
  { heads: 2, kvHeads: 1, headDim: 5, softcap: 3, bias: false, seq: 2, past: 70 },
  { heads: 1, kvHeads: 1, headDim: 20, softcap: 0, bias: true, seq: 1, past: 0 },
  { heads: 2, kvHeads: 2, headDim: 1, softcap: 0, bias: true, seq: 33, past: 1 },
];

/** Some keys masked, all of them for the first query of the second row of the batch. */
function masks(queries: number, keys: number): Tensor {
  const values = Array.from({ length: 2 * queries * keys }, (_, i) => (Math.floor(i / keys) === queries || (i % keys) % 3 === 1 ? -2.3819763e38 : (i % 7) / 5));
  return tensorOf('f32', [2, 1, queries, keys], values);
}

for (const { seq: queries, past: cached, ...rest } of CASES)
  itOnGpu(`attention of ${queries} queries and ${cached + queries} keys: ${JSON.stringify(rest)}`, async () => {
    const keys = cached + queries;
    const { heads, kvHeads, headDim, softcap, bias } = rest;
    const [q, k, v] = [randomTensor('f32', [2, queries, heads, headDim], 1), randomTensor('f32', [2, kvHeads, keys, headDim], 2), randomTensor('f32', [2, kvHeads, keys, headDim], 3)];
    const mask = masks(queries, keys);
    const cacheShape = [batch, kvHeads, total, headDim];
    const inputs = [{ tensor: q }, { tensor: k, shape: cacheShape }, { tensor: v, shape: cacheShape }, ...(bias ? [{ tensor: mask, shape: [batch, 1, seq, total] }] : [])];
    const results = [{ tensor: await runOp(ops.attention, bias ? [q, k, v, mask] : [q, k, v], { softcap }) }];
    const sizes = { batch: 2, seq: queries, past: cached, capacity: keys + 5 };
    expect(await differenceOf({ kernel: attentionKernel({ batch, seq, total, ...rest }), sizes, inputs, results })).toBeLessThan(3e-6);
  });

itOnGpu('attention of sizes that are known, packed', async () => {
  const [q, k, v] = [1, 2, 3].map((seed) => randomTensor('f32', seed === 1 ? [1, 34, 2, 20] : [1, 2, 34, 20], seed)) as [Tensor, Tensor, Tensor];
  const results = [{ tensor: await runOp(ops.attention, [q, k, v], { softcap: 0 }) }];
  const kernel = attentionKernel({ batch: 1, seq: 34, total: 34, heads: 2, kvHeads: 2, headDim: 20, softcap: 0, bias: false });
  expect(await differenceOf({ kernel, inputs: [q, k, v].map((tensor) => ({ tensor })), results })).toBeLessThan(3e-6);
});

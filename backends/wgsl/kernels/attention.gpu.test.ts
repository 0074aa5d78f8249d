import { expect } from 'vitest';
import { ops } from '../../../ir/ops/index.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { attentionCase, type AttentionSizes } from '../testing/attention_case.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { attentionKernel } from './attention.ts';

const CASES: readonly AttentionSizes[] = [
  { heads: 4, kvHeads: 1, headDim: 256, softcap: 0, bias: true, seq: 9, past: 26 },
  { heads: 3, kvHeads: 3, headDim: 72, softcap: 0, bias: false, seq: 37, past: 0 },
  { heads: 2, kvHeads: 1, headDim: 5, softcap: 3, bias: true, seq: 2, past: 70 },
];

for (const sizes of CASES)
  itOnGpu(`attention: ${JSON.stringify(sizes)}`, async () => {
    const { spec, result, ...rest } = await attentionCase(sizes);
    expect(await differenceOf({ kernel: attentionKernel(spec), ...rest, results: [result] })).toBeLessThan(3e-6);
  });

itOnGpu('attention of sizes that are known, packed', async () => {
  const [q, k, v] = [1, 2, 3].map((seed) =>
    randomTensor('f32', seed === 1 ? [1, 34, 2, 20] : [1, 2, 34, 20], seed),
  ) as [Tensor, Tensor, Tensor];
  const results = [{ tensor: await runOp(ops.attention, [q, k, v], { softcap: 0 }) }];
  const kernel = attentionKernel({
    batch: 1,
    seq: 34,
    total: 34,
    heads: 2,
    kvHeads: 2,
    headDim: 20,
    softcap: 0,
    bias: false,
  });
  expect(await differenceOf({ kernel, inputs: [q, k, v].map((tensor) => ({ tensor })), results })).toBeLessThan(3e-6);
});

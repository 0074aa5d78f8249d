import { expect } from 'vitest';
import { evaluateDim, type Dim } from '../../../ir/dim.ts';
import { attentionCase, type AttentionSizes } from '../testing/attention_case.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runKernel } from '../testing/run_kernel.ts';
import { fromStored, toStored, worst } from '../testing/stored.ts';
import { attentionStepKernels } from './attention_step.ts';

const CASES: readonly AttentionSizes[] = [
  { heads: 8, kvHeads: 1, headDim: 256, softcap: 0, bias: true, seq: 1, past: 40 },
  { heads: 12, kvHeads: 1, headDim: 20, softcap: 0, bias: true, seq: 1, past: 63 },
  { heads: 3, kvHeads: 3, headDim: 72, softcap: 0, bias: false, seq: 1, past: 31 },
  { heads: 2, kvHeads: 1, headDim: 5, softcap: 3, bias: true, seq: 1, past: 0 },
  { heads: 1, kvHeads: 1, headDim: 1030, softcap: 0, bias: true, seq: 1, past: 34 },
];

for (const given of CASES)
  itOnGpu(`attention of one query: ${JSON.stringify(given)}`, async () => {
    const { spec, sizes, inputs, result } = await attentionCase(given);
    const { split, join, scratch } = attentionStepKernels({ ...spec, seq: 1 });
    const bindings = new Map(Object.entries(sizes));
    const elements = (dims: readonly Dim[]) =>
      new Float32Array(dims.reduce<number>((product, dim) => product * evaluateDim(dim, bindings), 1)).fill(12345);
    const device = await testDevice();
    const memory = inputs.map(({ tensor, shape }) => toStored(tensor, shape, sizes));
    const after = await runKernel(device, {
      kernel: split,
      sizes,
      buffers: [...memory, elements(scratch.partial), elements(scratch.stats)],
    });
    const [partial, stats] = after.slice(-2).map((buffer) => new Float32Array(buffer)) as [Float32Array, Float32Array];
    const [, , out] = await runKernel(device, {
      kernel: join,
      sizes,
      buffers: [partial, stats, elements(result.shape)],
    });
    expect(worst(fromStored(out!, 'f32', result.shape, sizes), result.tensor.data)).toBeLessThan(3e-6);
  });

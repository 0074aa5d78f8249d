import { expect } from 'vitest';
import { addDims, sym, type Dim } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { reduceMeanKernel, softmaxKernel } from './rows.ts';

const total = addDims(sym('past'), sym('seq'));
const sizes = { batch: 2, past: 4, seq: 3, capacity: 10 };
/** The last axis grows, one before it does, none does. */
const SHAPES: readonly (readonly [readonly Dim[], readonly number[]])[] = [
  [
    [sym('batch'), 5, total],
    [2, 5, 7],
  ],
  [
    [sym('batch'), total, 5],
    [2, 7, 5],
  ],
  [
    [sym('batch'), 300],
    [2, 300],
  ],
  [[7], [7]],
];

for (const [shape, numbers] of SHAPES) {
  const x = randomTensor('f32', numbers, 1);
  itOnGpu(`softmax of [${numbers.join(', ')}]`, async () => {
    const results = [{ tensor: await runOp(ops.softmax, [x], {}), shape }];
    expect(
      await differenceOf({ kernel: softmaxKernel(shape), sizes, inputs: [{ tensor: x, shape }], results }),
    ).toBeLessThan(1e-6);
  });
  itOnGpu(`reduce_mean of [${numbers.join(', ')}]`, async () => {
    const results = [{ tensor: await runOp(ops.reduce_mean, [x], {}), shape: [...shape.slice(0, -1), 1] }];
    expect(
      await differenceOf({ kernel: reduceMeanKernel(shape), sizes, inputs: [{ tensor: x, shape }], results }),
    ).toBeLessThan(1e-6);
  });
}

itOnGpu('softmax of masked scores: the masked ones are 0, and rows of nothing else are uniform', async () => {
  const x = tensorOf('f32', [2, 3], [1, -2.38e38, 2, -2.38e38, -2.38e38, -2.38e38]);
  const results = [{ tensor: await runOp(ops.softmax, [x], {}) }];
  expect(await differenceOf({ kernel: softmaxKernel([2, 3]), inputs: [{ tensor: x }], results })).toBeLessThan(1e-6);
});

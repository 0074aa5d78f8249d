import { expect } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { randomMatrix } from '../testing/random_matrix.ts';
import { conv2dKernel, windowsKernel } from './conv2d.ts';

const batch = sym('batch');
const sizes = { batch: 2 };
const CASES = [
  { channels: 3, size: [9, 11], window: [3, 2], strides: [2, 3], padding: [0, 0], outputs: 5 },
  { channels: 3, size: [28, 28], window: [14, 14], strides: [14, 14], padding: [0, 0], outputs: 3 },
  { channels: 1, size: [4, 5], window: [1, 1], strides: [1, 1], padding: [0, 0], outputs: 2 },
  { channels: 2, size: [4, 3], window: [3, 2], strides: [1, 2], padding: [1, 2], outputs: 6 },
] as const;

for (const { outputs, ...given } of CASES) {
  const { channels, size, window, strides, padding } = given;
  const spec = { batch, ...given };
  const x = randomTensor('f32', [2, channels, ...size], 1);
  const elements = channels * window[0] * window[1];

  itOnGpu(
    `conv2d with windows of ${window.join(' × ')}, strides ${strides.join(', ')}, padding ${padding.join(', ')}`,
    async () => {
      for (const kind of ['f32', 'f16'] as const) {
        const { words, tensor } = randomMatrix({ kind }, outputs, elements, 2);
        const bias = randomTensor('f32', [outputs], 3);
        const results = [
          {
            tensor: await runOp(ops.conv2d, [x, tensorOf('f32', [outputs, channels, ...window], tensor.data), bias], {
              strides,
              padding,
            }),
          },
        ];
        expect(
          await differenceOf({
            kernel: conv2dKernel(spec, { kind }, outputs),
            sizes,
            inputs: [{ tensor: x }, words, { tensor: bias }],
            results,
          }),
        ).toBeLessThan(1e-5);
      }
    },
  );

  if (elements > 20) continue;
  itOnGpu(
    `its windows as rows are what a linear layer needs: ${window.join(' × ')}, strides ${strides.join(', ')}, padding ${padding.join(', ')}`,
    async () => {
      // A convolution by an identity gives each element of its window as a channel.
      const identity = tensorOf(
        'f32',
        [elements, channels, ...window],
        Array.from({ length: elements * elements }, (_, i) => (i % (elements + 1) === 0 ? 1 : 0)),
      );
      const byChannel = await runOp(
        ops.conv2d,
        [x, identity, tensorOf('f32', [elements], new Array<number>(elements).fill(0))],
        { strides, padding },
      );
      const [, , rows, columns] = byChannel.shape as [number, number, number, number];
      const flat = { ...byChannel, shape: [2, elements, rows * columns] };
      const results = [{ tensor: await runOp(ops.transpose, [flat], { perm: [0, 2, 1] }) }];
      expect(await differenceOf({ kernel: windowsKernel(spec), sizes, inputs: [{ tensor: x }], results })).toBe(0);
    },
  );
}

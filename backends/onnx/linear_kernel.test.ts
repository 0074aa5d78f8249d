import { describe, expect, test } from 'vitest';
import { ops } from '../../ir/ops/index.ts';
import { tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { linearKernel } from './linear_kernel.ts';

const x = randomTensor('f32', [2, 3, 7], 1);
const bias = randomTensor('f32', [11], 2);

describe.each([
  ['whole', undefined],
  ['in blocks of 3 rows, the last of 2', 21],
  ['in blocks of 2 rows that leave some of their room', 20],
  ['row by row', 1],
] as const)('%s', (_, blockElements) => {
  test.each(['f32', 'bf16', 'f16'] as const)(
    'a weight of %s gives what the definition gives, to the precision of f32',
    async (dtype) => {
      const weight = randomTensor(dtype, [11, 7], 3);
      const kernel = await linearKernel(blockElements);
      for (const others of [[x], [x, bias]]) {
        const [[actual], [expected]] = [
          await kernel(others, tensorData(weight), {}),
          ops.linear.evaluate([others[0]!, weight, ...others.slice(1)], {}, new Map()),
        ];
        expect(actual!.shape).toEqual([2, 3, 11]);
        actual!.data.forEach((value: number, i: number) =>
          expect(Math.abs(value - expected!.data[i]!), String(i)).toBeLessThan(8 * 7 * 2 ** -24),
        ); // 7 products and sums of numbers below 7
      }
    },
  );
});

test('no rows give no rows', async () => {
  const kernel = await linearKernel();
  const [result] = await kernel([randomTensor('f32', [1, 0, 7], 1)], tensorData(randomTensor('f32', [11, 7], 3)), {});
  expect(result).toMatchObject({ shape: [1, 0, 11] });
});

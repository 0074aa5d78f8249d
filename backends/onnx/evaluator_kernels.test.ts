import { describe, expect, test } from 'vitest';
import type { Kernel, Operand } from '../../ir/evaluate.ts';
import { ops } from '../../ir/ops/index.ts';
import { elementCount, tensorData, tensorOf, type Tensor } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { evaluatorKernels } from './evaluator_kernels.ts';

/**
 * What a float64 sum may be off for its order alone, of the sum of the magnitudes: 16384 products, the longest of any
 * published size, err by a few 1e-16 each way.
 */
const ORDER = 1e-12;

/** What anything but a sum may be off, relative (issue 18). */
const ELSEWHERE = 1e-12;

const kernels = await evaluatorKernels();
const whole = (tensor: Tensor): Tensor => tensor;
const magnitudes = ({ data, ...rest }: Tensor): Tensor => ({ ...rest, data: data.map(Math.abs) });

type Op = 'linear' | 'matmul' | 'conv2d';

/** What the definition gives, and what the products of the magnitudes come to. */
function defined(op: Op, inputs: readonly Tensor[], attrs: Record<string, unknown>) {
  const evaluate = (of: readonly Tensor[]) =>
    (ops[op].evaluate as (i: readonly Tensor[], a: unknown, b: unknown) => readonly Tensor[])(of, attrs, new Map())[0]!;
  return { expected: evaluate(inputs), size: evaluate(inputs.map(magnitudes)) };
}

async function expectSameProduct(
  op: Op,
  inputs: readonly Tensor[],
  {
    attrs = {},
    kernel = kernels[op]!,
    give = whole,
  }: {
    attrs?: Record<string, unknown>;
    kernel?: Kernel;
    give?: (tensor: Tensor, i: number) => Operand;
  } = {},
): Promise<void> {
  const { expected, size } = defined(op, inputs, attrs);
  const [actual] = await kernel(inputs.map(give), attrs);
  expect(actual!.shape).toEqual(expected.shape);
  expect(actual!.data).toHaveLength(elementCount(expected.shape));
  let off = 0;
  actual!.data.forEach((value, i) => {
    if (!(Math.abs(value - expected.data[i]!) <= ORDER * size.data[i]!)) off++;
  });
  expect(off).toBe(0);
}

const x = randomTensor('f32', [2, 3, 7], 1);
const bias = randomTensor('f32', [11], 2);

describe.each([
  ['whole', undefined],
  ['in blocks of 3 rows, the last of 2', 21],
  ['in blocks of 2 rows that leave some of their room', 20],
  ['row by row', 1],
] as const)('a linear layer %s', (_, blockElements) => {
  test.each(['f32', 'bf16', 'f16'] as const)('by an unread weight of %s', async (dtype) => {
    const weight = randomTensor(dtype, [11, 7], 3);
    const { linear } = await evaluatorKernels({ ...(blockElements && { blockElements }) });
    const unread = (tensor: Tensor, i: number): Operand => (i === 1 ? tensorData(tensor) : tensor);
    for (const inputs of [
      [x, weight],
      [x, weight, bias],
    ])
      await expectSameProduct('linear', inputs, { kernel: linear!, give: unread });
  });
});

test('a linear layer by a weight that was computed', async () => {
  await expectSameProduct('linear', [x, randomTensor('f32', [11, 7], 3), bias]);
});

test.each([
  ['matrices', [5, 7], [7, 3]],
  ['a batch of them', [2, 3, 5, 7], [2, 3, 7, 4]],
  ['leading axes that broadcast', [2, 1, 5, 7], [3, 7, 4]],
  ['one row', [1, 4, 1, 9], [1, 4, 9, 6]],
  ['long sums', [3, 16384], [16384, 2]],
] as const)('matmul of %s', async (_, a, b) => {
  await expectSameProduct('matmul', [randomTensor('f32', a, 1), randomTensor('f32', b, 2)]);
});

test.each([
  [
    [2, 2],
    [0, 0],
  ],
  [
    [3, 1],
    [0, 0],
  ],
  [
    [1, 1],
    [1, 1],
  ],
  [
    [2, 1],
    [0, 2],
  ],
])('a convolution with strides %j, padding %j', async (strides, padding) => {
  await expectSameProduct(
    'conv2d',
    [randomTensor('f32', [2, 3, 7, 8], 1), randomTensor('f32', [5, 3, 2, 3], 2), randomTensor('f32', [5], 3)],
    { attrs: { strides, padding } },
  );
});

test('nothing times nothing: no rows, no columns, sums of no terms', async () => {
  await expectSameProduct('linear', [randomTensor('f32', [1, 0, 7], 1), randomTensor('f32', [11, 7], 3)]);
  await expectSameProduct('linear', [randomTensor('f32', [2, 0], 1), randomTensor('f32', [11, 0], 3), bias]);
  await expectSameProduct('matmul', [randomTensor('f32', [2, 0], 1), randomTensor('f32', [0, 3], 3)]);
  await expectSameProduct('matmul', [randomTensor('f32', [0, 2], 1), randomTensor('f32', [2, 3], 3)]);
});

test('products that are asked for side by side do not share the block in hand', async () => {
  const { linear } = await evaluatorKernels({ blockElements: 14 });
  const weights = [3, 4, 5].map((seed) => randomTensor('f32', [11, 7], seed));
  const alone = weights.map((weight) => defined('linear', [x, weight], {}).expected.data);
  const together = await Promise.all(weights.map((weight) => linear!([x, tensorData(weight)], {})));
  for (const [i, [result]] of together.entries())
    expect(Math.max(...result!.data.map((value, at) => Math.abs(value - alone[i]![at]!)))).toBeLessThan(1e-9);
});

test('sums are of float64: 2^24 + 1 - 2^24 is 1, which f32 would lose', async () => {
  const [a, b] = [
    { dtype: 'f32', shape: [1, 3], data: Float32Array.of(2 ** 24, 1, -(2 ** 24)) },
    { dtype: 'f32', shape: [1, 3], data: Float32Array.of(1, 1, 1) },
  ] as const;
  expect((await kernels.linear!([a, b], {}))[0]!.data).toEqual(Float64Array.of(1));
});

test('what is not finite stays so', async () => {
  const row = (...values: number[]): Tensor => ({ dtype: 'f32', shape: [1, 2], data: Float32Array.from(values) });
  expect((await kernels.linear!([row(Infinity, 1), row(1, 1)], {}))[0]!.data[0]).toBe(Infinity);
  expect((await kernels.linear!([row(Number.NaN, 1), row(0, 1)], {}))[0]!.data[0]).toBeNaN();
});

test('tanh is that of the definition, in parts of an operand that is large', async () => {
  const values = tensorOf(
    'f32',
    [3, 1_000_001],
    Float32Array.from({ length: 3_000_003 }, (_, i) =>
      i === 0 ? -0 : Math.sinh((i % 4001) / 2000 - 1) * 10 ** ((i % 7) - 3),
    ),
  );
  const [expected] = ops.tanh.evaluate([values], {}, new Map());
  const [actual] = await kernels.tanh!([values], {});
  expect(actual!.shape).toEqual([3, 1_000_001]);
  let off = 0;
  actual!.data.forEach((value, i) => {
    if (!(Math.abs(value - expected!.data[i]!) <= ELSEWHERE * Math.abs(expected!.data[i]!))) off++;
  });
  expect(off).toBe(0);
});

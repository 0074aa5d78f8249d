import { expect } from 'vitest';
import { addDims, sym, type Dim } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { matmulKernel } from './matmul.ts';

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const total = addDims(past, seq);
const sizes = { batch: 2, seq: 3, past: 14, capacity: 23 };

interface Case {
  readonly name: string;
  readonly a: readonly [readonly Dim[], readonly number[]];
  readonly b: readonly [readonly Dim[], readonly number[]];
  readonly out: readonly Dim[];
}

const CASES: readonly Case[] = [
  {
    name: 'two matrices',
    a: [
      [5, 37],
      [5, 37],
    ],
    b: [
      [37, 19],
      [37, 19],
    ],
    out: [5, 19],
  },
  {
    name: 'a batch of one for all heads',
    a: [
      [batch, 4, seq, 5],
      [2, 4, 3, 5],
    ],
    b: [
      [batch, 1, 5, total],
      [2, 1, 5, 17],
    ],
    out: [batch, 4, seq, total],
  },
  {
    name: 'rows that grow',
    a: [
      [batch, seq, total],
      [2, 3, 17],
    ],
    b: [
      [batch, total, 18],
      [2, 17, 18],
    ],
    out: [batch, seq, 18],
  },
  {
    name: 'fewer axes on one side',
    a: [
      [batch, 2, seq, 5],
      [2, 2, 3, 5],
    ],
    b: [
      [2, 5, 7],
      [2, 5, 7],
    ],
    out: [batch, 2, seq, 7],
  },
];

for (const { name, a, b, out } of CASES)
  itOnGpu(`matmul of ${name}`, async () => {
    const [x, y] = [randomTensor('f32', a[1], 1), randomTensor('f32', b[1], 2)];
    const results = [{ tensor: await runOp(ops.matmul, [x, y], {}), shape: out }];
    expect(
      await differenceOf({
        kernel: matmulKernel({ a: a[0], b: b[0] }),
        sizes,
        inputs: [
          { tensor: x, shape: a[0] },
          { tensor: y, shape: b[0] },
        ],
        results,
      }),
    ).toBeLessThan(3e-6);
  });

itOnGpu('matmul of a transposed matrix', async () => {
  const [x, y] = [randomTensor('f32', [2, 3, 37], 1), randomTensor('f32', [21, 37], 2)];
  const results = [{ tensor: await runOp(ops.linear, [x, y], {}), shape: [batch, seq, 21] }];
  expect(
    await differenceOf({
      kernel: matmulKernel({ a: [batch, seq, 37], b: [21, 37], transposedB: true }),
      sizes,
      inputs: [{ tensor: x }, { tensor: y }],
      results,
    }),
  ).toBeLessThan(3e-6);
});

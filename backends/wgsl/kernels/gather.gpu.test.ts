import { describe, expect } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { FORMS, randomMatrix, type RandomMatrix } from '../testing/random_matrix.ts';
import { dequantizeKernel } from './dequantize.ts';
import { PLAIN } from './epilogue.ts';
import { gatherKernel } from './gather.ts';
import { formName } from './matrix_form.ts';

const rows = [sym('batch'), sym('seq')];
const sizes = { batch: 2, seq: 3 };
const ids = tensorOf('i64', [2, 3], [4, 0, 9, 10, 6, 4]);

for (const form of FORMS)
  describe(formName(form), () => {
    for (const columns of [70, 128, 5])
      itOnGpu(`rows and all of a matrix of ${columns} columns`, async () => {
        const { words, tensor } = randomMatrix(form, 11, columns, columns);
        expect(
          await differenceOf({ kernel: dequantizeKernel(form, 11, columns), inputs: [words], results: [{ tensor }] }),
        ).toBeLessThan(1e-6);
        const kernel = gatherKernel({ rows, columns, form, parts: [{ first: 0, count: 11 }], epilogue: PLAIN });
        const results = [{ tensor: await runOp(ops.gather, [tensor, ids], {}) }];
        expect(await differenceOf({ kernel, sizes, inputs: [{ tensor: ids }, words], results })).toBeLessThan(1e-6);
      });
  });

describe('a table in parts', () => {
  const [first, second, third] = [5, 3, 3].map((count, i) => randomMatrix({ kind: 'f16' }, count, 10, i + 1)) as [
    RandomMatrix,
    RandomMatrix,
    RandomMatrix,
  ];
  const table = tensorOf(
    'f32',
    [11, 10],
    [first, second, third].flatMap(({ tensor }) => [...tensor.data]),
  );
  const factors = randomTensor('f32', [10], 7);
  const epilogue = {
    text: 'y0 * factors[column] + f32(row)',
    operands: [{ name: 'factors', type: 'array<f32>' }],
    functions: [],
  };
  const spec = { rows, columns: 10, form: { kind: 'f16' }, epilogue } as const;

  itOnGpu('is gathered by kernels one after the other, with an epilogue', async () => {
    const taken = await runOp(ops.gather, [table, ids], {});
    const tensor = tensorOf(
      'f32',
      [2, 3, 10],
      Array.from(taken.data, (x, i) => x * factors.data[i % 10]! + Math.floor(i / 10)),
    );
    const fromFirst = tensorOf(
      'f32',
      [2, 3, 10],
      Array.from(tensor.data, (x, i) => (ids.data[Math.floor(i / 10)]! < 8 ? x : 12345)),
    );
    const one = gatherKernel({
      ...spec,
      parts: [
        { first: 0, count: 5 },
        { first: 5, count: 3 },
      ],
    });
    expect(
      await differenceOf({
        kernel: one,
        sizes,
        inputs: [{ tensor: ids }, first.words, second.words, { tensor: factors }],
        results: [{ tensor: fromFirst }],
      }),
    ).toBeLessThan(1e-6);
    const other = gatherKernel({ ...spec, parts: [{ first: 8, count: 3 }] });
    expect(
      await differenceOf({
        kernel: other,
        sizes,
        inputs: [{ tensor: ids }, third.words, { tensor: factors }],
        results: [{ tensor, before: { tensor: fromFirst } }],
      }),
    ).toBeLessThan(1e-6);
  });
});

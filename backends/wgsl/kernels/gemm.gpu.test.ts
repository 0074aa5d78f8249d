import { describe, expect, it } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runLinear, type LinearCase } from '../testing/linear_case.ts';
import { FORMS } from '../testing/random_matrix.ts';
import { PLAIN, type Epilogue } from './epilogue.ts';
import { gemmKernel } from './gemm.ts';
import type { LinearSpec } from './linear.ts';
import { formName, type MatrixForm } from './matrix_form.ts';
import { shaderText } from './wgsl_text.ts';

/**
 * Sums of f32, of Σ|x·w| = 1: each of the hundred additions of an invocation rounds by 6e-8 at most, and most cancel.
 */
const TOLERANCE = 1e-6;

const Q4: MatrixForm = { kind: 'int4', block: 32, zeros: true, wide: false };
const SEQ = sym('seq');

function product(form: MatrixForm, rows: LinearSpec['rows'], columns: number, outputs: number): LinearSpec {
  return {
    rows,
    columns,
    matrices: [{ form, outputs }],
    results: [{ kind: 'plain', parts: [{ matrix: 0, first: 0, count: outputs }], epilogue: PLAIN }],
  };
}

async function expectClose(test: LinearCase): Promise<void> {
  const { error, count } = await runLinear(await testDevice(), gemmKernel(test.spec), test);
  expect(count).toBeGreaterThan(0);
  expect(error).toBeLessThan(TOLERANCE);
}

describe('gemm', () => {
  for (const form of FORMS) {
    itOnGpu(`${formName(form)}: any number of rows and columns`, async () => {
      await expectClose({ spec: product(form, [SEQ], 100, 67), sizes: { seq: 67 } });
    });
  }
  // columns that are no whole vectors are read the same way whatever the form is
  for (const form of [{ kind: 'f32' }, Q4] as const)
    itOnGpu(`${formName(form)}: odd columns of few rows`, () =>
      expectClose({ spec: product(form, [SEQ, 2], 33, 70), sizes: { seq: 1 } }),
    );

  itOnGpu('whole tiles', () => expectClose({ spec: product(Q4, [SEQ], 64, 64), sizes: { seq: 64 } }));
  itOnGpu('one scale for a whole row', () =>
    expectClose({ spec: product({ kind: 'int8', block: 608, zeros: false, wide: true }, [5], 588, 9) }),
  );

  for (const rows of [5, 16, 20, 40])
    itOnGpu(`${rows} rows, known when compiling`, () =>
      expectClose({ spec: product({ kind: 'f16' }, [rows], 40, 66) }),
    );

  itOnGpu('two parts in one expression, into columns of wider rows', () => {
    const count = 70;
    const epilogue: Epilogue = {
      text: 'halved(y0) * y1 + e0[row * 70u + column] + e1[column]',
      operands: ['e0', 'e1'].map((name) => ({ name, type: 'array<f32>' })),
      functions: ['fn halved(x: f32) -> f32 { return 0.5 * x; }'],
    };
    const parts = [
      { matrix: 0, first: 1, count },
      { matrix: 0, first: 1 + count, count },
    ];
    return expectClose({
      spec: {
        rows: [SEQ],
        columns: 48,
        matrices: [{ form: Q4, outputs: 2 * count + 1 }],
        results: [{ kind: 'plain', parts, epilogue, stride: 80, offset: 7 }],
      },
      sizes: { seq: 66 },
      operands: { e0: 66 * count, e1: count },
      epilogue: (_, [a, b], { row, column, operands }) =>
        0.5 * a! * b! + operands['e0']![row * count + column]! + operands['e1']![column]!,
    });
  });

  it('has tiles no larger than few rows need, and reads a tile of the matrix for all rows in turn', () => {
    const rowsOfTile = (rows: LinearSpec['rows']) =>
      gemmKernel(product(Q4, rows, 64, 130)).grid.map(({ divide }) => divide)[0];
    expect([[16], [2, 16], [33], [SEQ]].map(rowsOfTile)).toEqual([16, 32, 64, 64]);
    expect(gemmKernel(product(Q4, [SEQ], 64, 130)).grid[2]).toEqual({ factors: [3], divide: 1 });
  });

  it('is readable and the same every time', () => {
    const kernel = gemmKernel(product(Q4, [SEQ], 2048, 16384));
    const text = shaderText(kernel, kernel.body, ['seq']);
    expect(kernel.name).toBe('gemm_q4z_2048x16384');
    expect(text.split('\n').slice(0, 2)).toEqual([
      '// x[seq, 2048] times the transposed w0[16384, 2048] q4z, in tiles of 64 x 64.',
      '// out0: of rows w0[0..16384]',
    ]);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(160);
    expect(gemmKernel(product(Q4, [SEQ], 2048, 16384))).toEqual(kernel);
  });

  it('refuses what only matvec does', () => {
    expect(() => gemmKernel({ ...product(Q4, [SEQ], 64, 64), norm: { epsilon: 1e-6 } })).toThrow('many rows');
  });
});

import { describe, expect, it } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runLinear, type LinearCase } from '../testing/linear_case.ts';
import { FORMS } from '../testing/random_matrix.ts';
import type { Epilogue } from './epilogue.ts';
import { PLAIN } from './epilogue.ts';
import { bindingCount, type LinearResult, type LinearSpec } from './linear.ts';
import { formName, type MatrixForm } from './matrix_form.ts';
import { matvecKernel } from './matvec.ts';
import type { MatvecTuning } from './matvec_tuning.ts';
import { shaderText } from './wgsl_text.ts';

/** Sums of f32, of Σ|x·w| = 1: each of the few hundred additions of a lane rounds by 6e-8 at most, and most cancel. */
const TOLERANCE = 1e-6;

const Q4: MatrixForm = { kind: 'int4', block: 32, zeros: true, wide: false };
const Q8: MatrixForm = { kind: 'int8', block: 32, zeros: false, wide: false };
const NORM = { epsilon: 1e-6 };
const BATCH = sym('batch_size');
const SEQ = sym('seq');

function plain(form: MatrixForm, columns: number, outputs: number, rest: Partial<LinearSpec> = {}): LinearSpec {
  return {
    rows: [1],
    columns,
    matrices: [{ form, outputs }],
    results: [{ kind: 'plain', parts: [{ matrix: 0, first: 0, count: outputs }], epilogue: PLAIN }],
    ...rest,
  };
}

async function expectClose(test: LinearCase, tuning?: MatvecTuning): Promise<void> {
  const device = await testDevice(test.features as GPUFeatureName[] | undefined);
  const { error, count } = await runLinear(device, matvecKernel(test.spec, tuning), test);
  expect(count).toBeGreaterThan(0);
  expect(error).toBeLessThan(TOLERANCE);
}

/** [q; k; v] of 4 query heads on 2 of keys, from one matrix. */
function heads(form: MatrixForm, rows: LinearSpec['rows'], headDim: number): LinearSpec {
  const [q, kv] = [4 * headDim, 2 * headDim];
  const cache = { kind: 'append', heads: 2, headDim, batch: rows[0]!, seq: rows[1]! } as const;
  const results: LinearResult[] = [
    { kind: 'rope', part: { matrix: 0, first: 0, count: q }, heads: 4, headDim, scale: 0.125 },
    { ...cache, part: { matrix: 0, first: q, count: kv }, rotated: true },
    { ...cache, part: { matrix: 0, first: q + kv, count: kv }, rotated: false },
  ];
  return { rows, columns: 100, norm: NORM, matrices: [{ form, outputs: q + 2 * kv }], results };
}

/** gate and up, both of `matrix`, or of a matrix each. */
function gated(form: MatrixForm, matrices: 1 | 2): LinearCase {
  const outputs = 45;
  const epilogue: Epilogue = {
    text: 'shaped(y0) * y1 + e0[row * 45u + column] + e1[column]',
    operands: ['e0', 'e1'].map((name) => ({ name, type: 'array<f32>' })),
    functions: ['fn shaped(x: f32) -> f32 { return x / (1.0 + abs(x)); }'],
  };
  const parts =
    matrices === 1
      ? [
          { matrix: 0, first: 3, count: outputs },
          { matrix: 0, first: 3 + outputs, count: outputs },
        ]
      : [
          { matrix: 0, first: 0, count: outputs },
          { matrix: 1, first: 2, count: outputs },
        ];
  return {
    spec: {
      rows: [2],
      columns: 132,
      norm: NORM,
      matrices:
        matrices === 1
          ? [{ form, outputs: 2 * outputs + 3 }]
          : [
              { form, outputs },
              { form, outputs: outputs + 2 },
            ],
      results: [{ kind: 'plain', parts, epilogue }],
    },
    operands: { e0: 2 * outputs, e1: outputs },
    epilogue: (_, [gate, up], { row, column, operands }) =>
      (gate! / (1 + Math.abs(gate!))) * up! + operands['e0']![row * outputs + column]! + operands['e1']![column]!,
  };
}

describe('matvec', () => {
  for (const form of FORMS) {
    itOnGpu(`${formName(form)}: any number of rows and columns`, async () => {
      await expectClose({ spec: plain(form, 33, 37) });
      await expectClose({ spec: plain(form, 204, 20, { rows: [BATCH, 1], norm: NORM }), sizes: { batch_size: 5 } });
    });
  }

  for (const form of [{ kind: 'f32' }, { kind: 'f16' }, Q8, Q4] as const) {
    itOnGpu(`${formName(form)}: more columns than workgroup memory holds`, () =>
      expectClose({ spec: plain(form, 4304 + 1, 3, { norm: NORM }) }),
    );
    itOnGpu(`${formName(form)}: two parts of a joined matrix in one expression`, () => expectClose(gated(form, 1)));
    itOnGpu(`${formName(form)}: heads are rotated and go where the cache grows`, () =>
      expectClose({ spec: heads(form, [BATCH, 1], 20), sizes: { batch_size: 2, past: 7, capacity: 11 } }),
    );
  }

  itOnGpu('one scale for a whole row', () =>
    expectClose({ spec: plain({ kind: 'int8', block: 608, zeros: false, wide: true }, 600, 21) }),
  );
  itOnGpu('parts of two matrices in one expression', () => expectClose(gated(Q4, 2)));
  itOnGpu('several positions of a sequence go into the cache', () =>
    expectClose({ spec: heads(Q4, [BATCH, SEQ], 8), sizes: { batch_size: 2, seq: 3, past: 2, capacity: 9 } }),
  );

  itOnGpu('results of matrices of their own forms', () => {
    const results = [0, 1].map((matrix): LinearResult => ({
      kind: 'plain',
      parts: [{ matrix, first: 0, count: 23 }],
      epilogue: PLAIN,
    }));
    return expectClose({
      spec: {
        rows: [1],
        columns: 96,
        matrices: [
          { form: Q4, outputs: 23 },
          { form: Q8, outputs: 23 },
        ],
        results,
      },
    });
  });

  itOnGpu('three parts, into columns of wider rows', () => {
    const parts = [0, 1, 2].map((i) => ({ matrix: 0, first: 7 * i, count: 7 }));
    const epilogue: Epilogue = { text: 'y0 + 2.0 * y1 - y2', operands: [], functions: [] };
    const spec = plain(Q8, 64, 21, { rows: [3], results: [{ kind: 'plain', parts, epilogue, stride: 12, offset: 4 }] });
    return expectClose({ spec, epilogue: (_, y) => y[0]! + 2 * y[1]! - y[2]! });
  });

  for (const [invocations, lanes, slots] of [
    [64, 4, 2],
    [128, 128, 4],
    [256, 64, 2],
  ] as const)
    itOnGpu(`${invocations} invocations, ${lanes} for ${slots} rows`, () =>
      expectClose(
        { spec: heads(Q4, [BATCH, 1], 16), sizes: { batch_size: 1, past: 0, capacity: 4 } },
        { invocations, lanes, slots },
      ),
    );

  itOnGpu('sums in subgroups', async () => {
    const features = ['subgroups'];
    await expectClose({ spec: heads(Q8, [BATCH, 1], 16), sizes: { batch_size: 2, past: 3, capacity: 4 }, features });
    await expectClose({ ...gated(Q4, 1), features });
    await expectClose({ spec: plain({ kind: 'f16' }, 300, 50), features });
  });

  it('needs no more bindings than WebGPU has by default for q, k and v of a layer', () => {
    expect(bindingCount(heads(Q4, [1, 1], 256))).toBe(8);
  });

  it('spreads few long rows over enough workgroups', () => {
    const workgroups = (columns: number, outputs: number) =>
      matvecKernel(plain(Q4, columns, outputs)).grid[0].factors[0];
    expect(workgroups(2048, 2048)).toBeGreaterThanOrEqual(256);
    expect(workgroups(16384, 2048)).toBeGreaterThanOrEqual(256);
    expect(workgroups(2048, 65536)).toBeLessThan(65536);
  });

  it('is readable and the same every time', () => {
    const kernel = matvecKernel(heads(Q4, [BATCH, 1], 256));
    const text = shaderText(kernel, kernel.body, ['batch_size', 'past', 'capacity']);
    expect(kernel.name).toBe('matvec_q4z_norm_100x2048');
    expect(text.split('\n').slice(0, 4)).toEqual([
      '// x[batch_size, 100], RMS-normalised, times the transposed w0[2048, 100] q4z.',
      '// out0: of rows w0[0..1024], 4 heads of 256, rotated',
      '// out1: of rows w0[1024..1536], 2 heads of 256, rotated, into the cache',
      '// out2: of rows w0[1536..2048], 2 heads of 256, into the cache',
    ]);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(160);
    expect(matvecKernel(heads(Q4, [BATCH, 1], 256))).toEqual(kernel);
  });

  it('refuses rows that a matrix does not have, and forms that want x in two orders', () => {
    const part = (matrix: number, first: number) => ({ matrix, first, count: 8 });
    const spec = (parts: Extract<LinearResult, { kind: 'plain' }>['parts']) =>
      plain(Q4, 32, 8, {
        matrices: [
          { form: Q4, outputs: 8 },
          { form: Q8, outputs: 8 },
        ],
        results: [{ kind: 'plain', parts, epilogue: PLAIN }],
      });
    expect(() => matvecKernel(spec([part(0, 1)]))).toThrow('rows 1..9 of matrix 0');
    expect(() => matvecKernel(spec([part(0, 0), part(1, 0)]))).toThrow('int4 and int8');
  });
});

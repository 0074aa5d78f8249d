import { describe, expect, it } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { formats } from '../../../ir/formats/index.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runLinear, type LinearCase } from '../testing/linear_case.ts';
import { FORMS } from '../testing/random_matrix.ts';
import { PLAIN, type Epilogue } from './epilogue.ts';
import type { Kernel } from './kernel.ts';
import type { LinearResult, LinearSpec } from './linear.ts';
import { formName, isCoded, type MatrixForm } from './matrix_form.ts';
import { matvecKernel } from './matvec.ts';
import { BYTE_PRODUCTS } from './matvec_rounded.ts';
import { shaderText } from './wgsl_text.ts';

/** As matvec.gpu.test.ts has it: products of bytes are exact, and only their sums over blocks round. */
const TOLERANCE = 1e-6;
/**
 * From sums of x as it is, of Σ|x·w| = 1: an element of x errs by half a step, 1/254 of the largest of its block, at
 * most. Here that is 1 and elements 1/2 on average, so that all of them at their worst make 1/127.
 */
const WORST = 1 / 127;

const Q4: MatrixForm = { kind: 'int4', block: 32, zeros: true, wide: false };
const Q8: MatrixForm = { kind: 'int8', block: 32, zeros: false, wide: false };
const NF4: MatrixForm = { kind: 'nf4', block: 64, zeros: false, wide: false };
const CODED = FORMS.filter((form) => isCoded(form) && !formats[form.kind].codebook);
const NORM = { epsilon: 1e-6 };
const BATCH = sym('batch_size');

function plain(form: MatrixForm, columns: number, outputs: number, rest: Partial<LinearSpec> = {}): LinearSpec {
  return {
    rows: [1],
    columns,
    matrices: [{ form, outputs }],
    results: [{ kind: 'plain', parts: [{ matrix: 0, first: 0, count: outputs }], epilogue: PLAIN }],
    mayRound: true,
    ...rest,
  };
}

async function errorOf(test: LinearCase, change: (kernel: Kernel) => Kernel = (kernel) => kernel): Promise<number> {
  const features = test.features ?? [BYTE_PRODUCTS];
  const device = await testDevice(features.filter((feature) => feature !== BYTE_PRODUCTS) as GPUFeatureName[]);
  const { error, count } = await runLinear(device, change(matvecKernel(test.spec)), {
    rounded: true,
    ...test,
    features,
  });
  expect(count).toBeGreaterThan(0);
  return error;
}

const expectClose = async (test: LinearCase) => expect(await errorOf(test)).toBeLessThan(TOLERANCE);

/** [q; k; v] of 4 query heads on 2 of keys, from one matrix. */
function heads(form: MatrixForm, headDim: number): LinearCase {
  const [q, kv] = [4 * headDim, 2 * headDim];
  const cache = { kind: 'append', heads: 2, headDim, batch: BATCH, seq: 1 } as const;
  const results: LinearResult[] = [
    { kind: 'rope', part: { matrix: 0, first: 0, count: q }, heads: 4, headDim, scale: 0.125 },
    { ...cache, part: { matrix: 0, first: q, count: kv }, rotated: true },
    { ...cache, part: { matrix: 0, first: q + kv, count: kv }, rotated: false },
  ];
  return {
    spec: {
      rows: [BATCH, 1],
      columns: 100,
      norm: NORM,
      matrices: [{ form, outputs: q + 2 * kv }],
      results,
      mayRound: true,
    },
    sizes: { batch_size: 2, past: 7, capacity: 11 },
  };
}

describe('matvec of x rounded to bytes', () => {
  for (const form of CODED)
    itOnGpu(`${formName(form)}: any number of rows and columns`, async () => {
      await expectClose({ spec: plain(form, 33, 37) });
      await expectClose({ spec: plain(form, 204, 20, { rows: [BATCH, 1], norm: NORM }), sizes: { batch_size: 3 } });
    });

  for (const form of [Q8, Q4]) {
    itOnGpu(`${formName(form)}: more columns than workgroup memory holds`, () =>
      expectClose({ spec: plain(form, 16384 + 33, 3, { norm: NORM }) }),
    );
    itOnGpu(`${formName(form)}: heads are rotated and go where the cache grows`, () => expectClose(heads(form, 20)));
    itOnGpu(`${formName(form)}: sums in subgroups`, () =>
      expectClose({ ...heads(form, 16), features: [BYTE_PRODUCTS, 'subgroups'] }),
    );
  }

  itOnGpu('two parts in one expression', () => {
    const parts = [0, 1].map((i) => ({ matrix: 0, first: 21 * i, count: 21 }));
    const epilogue: Epilogue = { text: 'y0 * y1', operands: [], functions: [] };
    return expectClose({
      spec: plain(Q4, 132, 42, { results: [{ kind: 'plain', parts, epilogue }] }),
      epilogue: (_, [a, b]) => a! * b!,
    });
  });

  itOnGpu('results of matrices of their own forms, which want x in their own orders', () => {
    const results = [0, 1].map((matrix): LinearResult => ({
      kind: 'plain',
      parts: [{ matrix, first: 0, count: 23 }],
      epilogue: PLAIN,
    }));
    return expectClose({
      spec: plain(Q4, 96, 23, {
        matrices: [
          { form: Q4, outputs: 23 },
          { form: Q8, outputs: 23 },
        ],
        results,
      }),
    });
  });

  for (const form of [Q8, Q4])
    itOnGpu(`${formName(form)}: is apart from products of x as it is, by what rounding may cost`, async () => {
      const error = await errorOf({ spec: plain(form, 204, 40), rounded: false });
      expect(error).toBeGreaterThan(10 * TOLERANCE);
      expect(error).toBeLessThan(WORST);
      expect(await errorOf({ spec: plain(form, 204, 40), rounded: false, features: [] })).toBeLessThan(TOLERANCE);
    });

  for (const [fault, from, to, form] of [
    ['a neighbour’s largest element is missed', 'k < 8u', 'k < 4u', Q8],
    ['the sum of bytes is forgotten', 'scale.y * f32(sum)', 'scale.y', Q4],
    ['low halves are taken for high ones', '(bits.x >> 4u) & 0x0f0f0f0fu', 'bits.x & 0x0f0f0f0fu', Q4],
    ['signs of codes are lost', ' ^ 0x80808080u', '', Q8],
    ['the step is of another block', 'let step = steps[vector / 2u];', 'let step = steps[0];', Q8],
  ] as const)
    itOnGpu(`a mistake shows: ${fault}`, async () => {
      const mistaken = (kernel: Kernel) => {
        const variants = kernel.variants!.map(({ features, body }) => ({ features, body: body.replaceAll(from, to) }));
        expect(variants).not.toEqual(kernel.variants);
        return { ...kernel, variants };
      };
      expect(await errorOf({ spec: plain(form, 204, 40) }, mistaken)).toBeGreaterThan(10 * TOLERANCE);
    });

  it('is asked for, and is for affine codes alone', () => {
    const features = (spec: LinearSpec) => matvecKernel(spec).variants!.map((variant) => variant.features.join(' '));
    expect(features(plain(Q4, 64, 8))).toEqual([`${BYTE_PRODUCTS} subgroups`, BYTE_PRODUCTS, 'subgroups']);
    expect(features(plain(Q4, 64, 8, { mayRound: false }))).toEqual(['subgroups']);
    expect(features(plain({ kind: 'f16' }, 64, 8))).toEqual(['subgroups']);
    expect(features(plain(NF4, 64, 8))).toEqual(['subgroups']);
    expect(matvecKernel(plain(Q4, 64, 8)).body).toBe(matvecKernel(plain(Q4, 64, 8, { mayRound: false })).body);
  });

  it('is readable', () => {
    const kernel = matvecKernel(plain(Q4, 2048, 16384));
    const text = shaderText(kernel, kernel.variants![0]!.body, ['past'], kernel.variants![0]!.features);
    expect(text.split('\n')).toContain(`requires ${BYTE_PRODUCTS};`);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(160);
  });
});

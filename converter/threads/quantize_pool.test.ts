import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plainExecutor } from '../../ir/quantize/executor.ts';
import { factorHessian } from '../../ir/quantize/hessian.ts';
import { gptqMatrix } from '../../ir/quantize/gptq.ts';
import { formOf } from '../../ir/quantize/kernels/form.js';
import type { Module } from '../../ir/quantize/kernels/web_assembly.js';
import { quantizeMatrix, type QuantizeOptions } from '../../ir/quantize/quantize_matrix.ts';
import type { QuantizedMatrix } from '../../ir/quantize/lazy_matrix.ts';
import { INT4, INT8 } from '../../ir/quantize/scheme.ts';
import { bytesData, readBytes } from '../../ir/tensor.ts';
import { randomSource } from '../../ir/random_source.ts';
import { sampleWeights } from '../../ir/testing/weights.ts';
import { loadKernels } from './kernels_module.ts';
import { QuantizePool } from './quantize_pool.ts';

let kernels: Module | undefined;
beforeAll(async () => void (kernels = await loadKernels()));

// five runs of rows, the last one short
const [ROWS, COLUMNS] = [70, 16384];
// patterns of bf16 below 2
const next = randomSource(1);
const data = bytesData(
  'bf16',
  [ROWS, COLUMNS],
  new Uint8Array(
    Uint16Array.from({ length: ROWS * COLUMNS }, () => 0x3a00 + 0x5ff * next() + (next() < 0.5 ? 0x8000 : 0)).buffer,
  ),
);
const small = bytesData('f32', [70, 64], new Uint8Array(sampleWeights('gauss', 70 * 64, 2).buffer));
const factor = factorHessian(
  Float64Array.from({ length: 64 * 64 }, (_, i) => 0.8 ** Math.abs((i % 64) - Math.floor(i / 64))),
  64,
);

type Quantize = (options: QuantizeOptions) => QuantizedMatrix;
/** Round to nearest is fast without vectors too, so it goes over all runs; what searches, over few rows. */
const MATRICES: Readonly<Record<string, Quantize>> = {
  'round to nearest': (options) => quantizeMatrix(data, { ...INT4, algorithm: 'rtn' }, options),
  'int4 search': (options) =>
    quantizeMatrix(small, INT4, { ...options, importance: Array.from({ length: 64 }, (_, k) => 1 + k) }),
  'int8 search': (options) => quantizeMatrix(small, INT8, options),
  hqq: (options) => quantizeMatrix(small, { ...INT4, algorithm: 'hqq' }, options),
  gptq: (options) => gptqMatrix(small, INT4, async () => factor, options),
};

async function digest({ q, scales, zeros }: QuantizedMatrix): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of [q, scales, ...(zeros ? [zeros] : [])]) hash.update(await readBytes(tensor));
  return hash.digest('hex');
}

describe('the same bytes', () => {
  const expected = new Map<string, string>();
  beforeAll(async () => {
    for (const [name, quantize] of Object.entries(MATRICES)) expected.set(name, await digest(quantize({})));
  });

  test.each([
    [1, 'with SIMD'],
    [2, 'with SIMD'],
    [8, 'with SIMD'],
    [1, 'without'],
    [2, 'without'],
    [8, 'without'],
  ])('in %d threads %s', async (threads, simd) => {
    expect(kernels).toBeDefined();
    const pool = new QuantizePool(threads, simd === 'with SIMD' ? kernels : undefined);
    try {
      const digests = await Promise.all(
        Object.entries(MATRICES).map(
          async ([name, quantize]) => [name, await digest(quantize({ executor: pool }))] as const,
        ),
      );
      expect(new Map(digests)).toEqual(expected);
    } finally {
      await pool.dispose();
    }
  });
});

const FORM = formOf({ bits: 8, block: 64, symmetric: true, floatZero: false });

test('a factor from a thread is the factor', async () => {
  const job = { inputs: sampleWeights('gauss', 100 * 64, 3, 1), columns: 64 };
  const pool = new QuantizePool(1, undefined);
  try {
    expect(await pool.factor(job)).toEqual(await plainExecutor.factor(job));
    expect(await pool.factor({ inputs: Float32Array.of(Infinity, 1), columns: 2 })).toBeUndefined();
  } finally {
    await pool.dispose();
  }
});

describe('failures', () => {
  const pool = new QuantizePool(2, undefined);
  afterAll(() => pool.dispose());

  test('a weight that has no code is told by its place, and the pool goes on', async () => {
    const values = new Float32Array(300 * 32);
    values[200 * 32 + 3] = Infinity;
    const bad = quantizeMatrix(bytesData('f32', [300, 32], new Uint8Array(values.buffer)), INT8, { executor: pool });
    await expect(readBytes(bad.q)).rejects.toThrow('weight Infinity in row 200, column 3');
    expect(await digest(MATRICES['hqq']!({ executor: pool }))).toHaveLength(64);
  });

  test('an error of a thread is the error of its job', async () => {
    await expect(
      pool.run({ bytes: new Uint8Array(8), dtype: 'f32', rows: 2 ** 40, columns: 64, form: FORM, algorithm: 'rtn' }),
    ).rejects.toThrow('Invalid typed array length');
  });

  test('when it ends, what waits is told', async () => {
    const ended = new QuantizePool(1, undefined);
    const reading = Promise.all([1, 2, 3].map(() => readBytes(MATRICES['gptq']!({ executor: ended }).q)));
    reading.catch(() => {});
    await ended.dispose();
    await expect(reading).rejects.toThrow('the threads that quantize were ended');
    await expect(
      ended.run({ bytes: new Uint8Array(8), dtype: 'f32', rows: 1, columns: 2, form: FORM, algorithm: 'rtn' }),
    ).rejects.toThrow('were ended');
  });
});

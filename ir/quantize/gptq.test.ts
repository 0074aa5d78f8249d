import { describe, expect, test } from 'vitest';
import { bytesData, readBytes, type TensorData } from '../tensor.ts';
import { dequantize } from '../testing/dequantize.ts';
import { sampleWeights } from '../testing/weights.ts';
import { plainExecutor, type QuantizeExecutor } from './executor.ts';
import { gptqMatrix } from './gptq.ts';
import { factorHessian, MAX_GPTQ_COLUMNS } from './hessian.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { INT4, INT8, type Scheme } from './scheme.ts';

const ROWS = 21;
const COLUMNS = 280; // more than two spans of GPTQ, and not whole blocks

/**
 * The factor and its use cancel to this: sums of 280 products in binary64, times a condition number of some thousands.
 */
const INVERSE_TOLERANCE = 1e-9;
/** On inputs as correlated as these GPTQ takes out more than this part of the error; 65 to 85 % when measured. */
const LEAST_GAIN = 0.6;

/** Inputs [samples, COLUMNS], each column much like its neighbours. */
function correlatedInputs(samples: number): Float64Array {
  const noise = sampleWeights('gauss', samples * COLUMNS, 11, 1);
  const x = new Float64Array(noise.length);
  for (let s = 0; s < samples; s++)
    for (let k = 0; k < COLUMNS; k++)
      x[s * COLUMNS + k] = noise[s * COLUMNS + k]! + (k > 0 ? 0.9 * x[s * COLUMNS + k - 1]! : 0);
  return x;
}

const SAMPLES = 600;
const inputs = correlatedInputs(SAMPLES);

function gram(x: Float64Array): Float64Array {
  const h = new Float64Array(COLUMNS * COLUMNS);
  for (let s = 0; s < SAMPLES; s++)
    for (let i = 0; i < COLUMNS; i++)
      for (let j = 0; j < COLUMNS; j++) h[i * COLUMNS + j]! += x[s * COLUMNS + i]! * x[s * COLUMNS + j]!;
  return h;
}

const hessian = gram(inputs);
const weights = sampleWeights('student_t5', ROWS * COLUMNS, 12);
const data: TensorData = bytesData('f32', [ROWS, COLUMNS], new Uint8Array(weights.buffer));

/** ‖X (W − Ŵ)ᵀ‖² */
function outputError(quantized: Float64Array): number {
  let sum = 0;
  for (let n = 0; n < ROWS; n++) {
    for (let i = 0; i < COLUMNS; i++) {
      const e = weights[n * COLUMNS + i]! - quantized[n * COLUMNS + i]!;
      for (let j = 0; j < COLUMNS; j++)
        sum += e * hessian[i * COLUMNS + j]! * (weights[n * COLUMNS + j]! - quantized[n * COLUMNS + j]!);
    }
  }
  return sum;
}

test('Uᵀ U is the inverse of the damped Hessian', () => {
  const { upper: u } = factorHessian(hessian, COLUMNS);
  let trace = 0;
  for (let i = 0; i < COLUMNS; i++) trace += hessian[i * COLUMNS + i]!;
  const product = (i: number, j: number) => {
    // (Uᵀ U H)_ij
    let sum = 0;
    for (let k = 0; k < COLUMNS; k++) {
      let inverse = 0;
      for (let m = 0; m <= Math.min(i, k); m++) inverse += u[m * COLUMNS + i]! * u[m * COLUMNS + k]!;
      sum += inverse * (hessian[k * COLUMNS + j]! + (k === j ? (0.01 * trace) / COLUMNS : 0));
    }
    return sum;
  };
  for (const i of [0, 1, 77, 279])
    for (let j = 0; j < COLUMNS; j++)
      expect(Math.abs(product(i, j) - (i === j ? 1 : 0))).toBeLessThan(INVERSE_TOLERANCE);
  for (let i = 1; i < COLUMNS; i++) expect(u[i * COLUMNS + i - 1]).toBe(0);
});

describe.each<Scheme>([
  INT4,
  { ...INT4, floatZero: true },
  { ...INT4, symmetric: true, algorithm: 'rtn' },
  { ...INT4, algorithm: 'hqq' },
  INT8,
])('%o', (scheme) => {
  test('leaves less error in the outputs than round to nearest and the search', async () => {
    const error = outputError(await dequantize(gptqMatrix(data, scheme, factorHessian(hessian, COLUMNS)), COLUMNS));
    for (const algorithm of ['rtn', 'search'] as const) {
      const other = outputError(await dequantize(quantizeMatrix(data, { ...scheme, algorithm }), COLUMNS));
      expect(error).toBeLessThan((1 - LEAST_GAIN) * other);
    }
  });
});

test('inputs without correlation leave round to nearest', async () => {
  const identity = Float64Array.from({ length: COLUMNS * COLUMNS }, (_, i) => (i % (COLUMNS + 1) === 0 ? 3 : 0));
  const scheme: Scheme = { ...INT4, algorithm: 'rtn' };
  const codes = await readBytes(gptqMatrix(data, scheme, factorHessian(identity, COLUMNS)).q);
  expect(codes).toEqual(await readBytes(quantizeMatrix(data, scheme).q));
});

test('columns whose input never occurred keep their weights', async () => {
  const dead = hessian.slice();
  for (let k = 0; k < COLUMNS; k++) dead[40 * COLUMNS + k] = dead[k * COLUMNS + 40] = 0;
  const quantized = await dequantize(gptqMatrix(data, INT8, factorHessian(dead, COLUMNS)), COLUMNS);
  for (let n = 0; n < ROWS; n++)
    expect(Math.abs(quantized[n * COLUMNS + 40]! - weights[n * COLUMNS + 40]!)).toBeLessThan(1e-3);
});

test('a matrix is computed once, whichever of its tensors is read first', async () => {
  let jobs = 0;
  const executor: QuantizeExecutor = {
    width: 1,
    run(job) {
      jobs++;
      return plainExecutor.run(job);
    },
  };
  const { q, scales, zeros } = gptqMatrix(data, INT4, factorHessian(hessian, COLUMNS), { executor });
  await readBytes(scales);
  await readBytes(q);
  await readBytes(zeros!);
  await readBytes(q, { begin: 100, end: 900 });
  expect(jobs).toBe(1);
});

test('what is no Hessian of the matrix', () => {
  expect(() => factorHessian(new Float64Array(5), 2)).toThrow('a Hessian of 5 numbers for 2 columns');
  expect(() => factorHessian([1, 2, 2, 1], 2)).toThrow('not positive definite');
  expect(() => factorHessian([1, 0, 0, Number.NaN], 2)).toThrow('not positive definite');
  expect(() => factorHessian([], MAX_GPTQ_COLUMNS + 1)).toThrow('GPTQ takes at most 6144');
  expect(() => gptqMatrix(data, INT4, factorHessian([1, 0, 0, 1], 2))).toThrow('a Hessian of 2 columns for 280');
});

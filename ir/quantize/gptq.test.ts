import { describe, expect, test } from 'vitest';
import type { ValueRows } from '../observe/kept_rows.ts';
import { bytesData, readBytes, readTensor, type TensorData } from '../tensor.ts';
import { dequantize } from '../testing/dequantize.ts';
import { sampleWeights } from '../testing/weights.ts';
import { plainExecutor, type QuantizeExecutor } from './executor.ts';
import { gptqMatrix } from './gptq.ts';
import { factorHessian, factorRows, partsOf } from './hessian.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { INT4, INT8, type Scheme } from './scheme.ts';

const ROWS = 21;
const COLUMNS = 280; // more than two spans of GPTQ, and not whole blocks

/**
 * The factor and its use cancel to this: sums of 280 products in binary64, times a condition number of some thousands.
 */
const INVERSE_TOLERANCE = 1e-9;
/** On inputs as correlated as these GPTQ takes out more than this part of the error; 58 to 86 % when measured. */
const LEAST_GAIN = 0.5;

/** Of inputs whose sizes differ, the order of columns leaves no more than this part of the error. */
const LEAST_ORDER_GAIN = 0.9;

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

const factorOf = (h: ArrayLike<number>, columns: number) => async () => factorHessian(h, columns);

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

test('Uᵀ U is the inverse of the damped Hessian, its columns from the dearest on', () => {
  const { upper: u, order } = factorHessian(hessian, COLUMNS).parts[0]!;
  const costs = Array.from(order, (k) => hessian[k * COLUMNS + k]!);
  expect(costs).toEqual(costs.toSorted((a, b) => b - a));
  expect(new Set(order).size).toBe(COLUMNS);
  let trace = 0;
  for (let i = 0; i < COLUMNS; i++) trace += hessian[i * COLUMNS + i]!;
  const product = (i: number, j: number) => {
    // (Uᵀ U H)_ij
    let sum = 0;
    for (let k = 0; k < COLUMNS; k++) {
      let inverse = 0;
      for (let m = 0; m <= Math.min(i, k); m++) inverse += u[m * COLUMNS + i]! * u[m * COLUMNS + k]!;
      sum += inverse * (hessian[order[k]! * COLUMNS + order[j]!]! + (k === j ? (0.01 * trace) / COLUMNS : 0));
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
    const error = outputError(await dequantize(gptqMatrix(data, scheme, factorOf(hessian, COLUMNS)), COLUMNS));
    for (const algorithm of ['rtn', 'search'] as const) {
      const other = outputError(await dequantize(quantizeMatrix(data, { ...scheme, algorithm }), COLUMNS));
      expect(error).toBeLessThan((1 - LEAST_GAIN) * other);
    }
  });
});

test('inputs without correlation leave round to nearest', async () => {
  const identity = Float64Array.from({ length: COLUMNS * COLUMNS }, (_, i) => (i % (COLUMNS + 1) === 0 ? 3 : 0));
  const scheme: Scheme = { ...INT4, algorithm: 'rtn' };
  const codes = await readBytes(gptqMatrix(data, scheme, factorOf(identity, COLUMNS)).q);
  expect(codes).toEqual(await readBytes(quantizeMatrix(data, scheme).q));
});

test('columns whose input never occurred keep their weights', async () => {
  const dead = hessian.slice();
  for (let k = 0; k < COLUMNS; k++) dead[40 * COLUMNS + k] = dead[k * COLUMNS + 40] = 0;
  const quantized = await dequantize(gptqMatrix(data, INT8, factorOf(dead, COLUMNS)), COLUMNS);
  for (let n = 0; n < ROWS; n++)
    expect(Math.abs(quantized[n * COLUMNS + 40]! - weights[n * COLUMNS + 40]!)).toBeLessThan(1e-3);
});

describe('a small matrix, by the definition', () => {
  const [rows, columns] = [3, 40]; // the last block is not whole
  const scheme: Scheme = { ...INT4, symmetric: true };

  /** Inputs that are mixtures of a few, of sizes that differ, as those of trained models do. */
  function sample(seed: number): { readonly h: Float64Array; readonly w: Float32Array } {
    const [factors, mixing] = [50, sampleWeights('gauss', 50 * columns, seed, 1)];
    const sizes = sampleWeights('gauss', columns, seed + 1000, 1).map(Math.exp);
    const h = new Float64Array(columns * columns);
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++)
        for (let f = 0; f < factors; f++)
          h[i * columns + j]! += sizes[i]! * sizes[j]! * mixing[f * columns + i]! * mixing[f * columns + j]!;
    return { h, w: sampleWeights('student_t5', rows * columns, seed + 2000) };
  }

  const matrixOf = (w: Float32Array) => bytesData('f32', [rows, columns], new Uint8Array(w.slice().buffer));

  /** Column by column: round it, then let those that are left be the best there are for its error. */
  async function byDefinition(h: Float64Array, w: Float32Array, order: readonly number[]): Promise<Float64Array> {
    const mean = order.reduce((sum, k) => sum + h[k * columns + k]!, 0) / columns;
    const damped = (i: number, j: number) => h[i * columns + j]! + (i === j ? 0.01 * mean : 0);
    const steps = order.map((column, place) => {
      const rest = order.slice(place + 1);
      const toColumn = rest.map((i) => damped(i, column));
      const shares = solve(
        rest.map((i) => rest.map((j) => damped(i, j))),
        toColumn,
      );
      // what an error costs when those behind make the best of it
      const cost = toColumn.reduce((sum, x, i) => sum - x * shares[i]!, damped(column, column));
      return { column, rest, shares, cost };
    });
    const importance = Array.from({ length: columns }, (_, k) => steps.find(({ column }) => column === k)!.cost);
    const scales = (await readTensor(quantizeMatrix(matrixOf(w), scheme, { importance }).scales)).data;
    const left = Float64Array.from(w);
    for (const { column, rest, shares } of steps)
      for (let n = 0; n < rows; n++) {
        const scale = scales[n * 2 + Math.floor(column / 32)]!;
        const at = n * columns + column;
        const code = Math.min(Math.max(Math.round(left[at]! / scale) + 8, 0), 15);
        const error = left[at]! - (code - 8) * scale;
        left[at] = (code - 8) * scale;
        rest.forEach((k, i) => (left[n * columns + k]! += shares[i]! * error));
      }
    return left;
  }

  /** The x of A x = b, A positive definite. */
  function solve(a: number[][], right: readonly number[]): number[] {
    const b = [...right];
    const n = b.length;
    for (let i = 0; i < n; i++)
      for (let r = i + 1; r < n; r++) {
        const share = a[r]![i]! / a[i]![i]!;
        for (let k = i; k < n; k++) a[r]![k]! -= share * a[i]![k]!;
        b[r]! -= share * b[i]!;
      }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) b[i]! -= a[i]![k]! * b[k]!;
      b[i]! /= a[i]![i]!;
    }
    return b;
  }

  const dearestFirst = (h: Float64Array) =>
    Array.from({ length: columns }, (_, k) => k).toSorted((a, b) => h[b * columns + b]! - h[a * columns + a]!);

  test.each([1, 2, 3])('seed %d', async (seed) => {
    const { h, w } = sample(seed);
    const made = await dequantize(gptqMatrix(matrixOf(w), scheme, factorOf(h, columns)), columns);
    const expected = await byDefinition(h, w, dearestFirst(h));
    made.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 6));
  });

  test('the dearest columns first err less in the outputs than columns as they lie', async () => {
    const errors = { ordered: 0, natural: 0 };
    const error = (h: Float64Array, w: Float32Array, made: Float64Array) => {
      let [sum, all] = [0, 0];
      for (let n = 0; n < rows; n++)
        for (let i = 0; i < columns; i++)
          for (let j = 0; j < columns; j++) {
            const [a, b] = [n * columns + i, n * columns + j];
            sum += (w[a]! - made[a]!) * h[i * columns + j]! * (w[b]! - made[b]!);
            all += w[a]! * h[i * columns + j]! * w[b]!;
          }
      return sum / all;
    };
    for (let seed = 0; seed < 12; seed++) {
      const { h, w } = sample(seed);
      errors.ordered += error(h, w, await byDefinition(h, w, dearestFirst(h)));
      errors.natural += error(h, w, await byDefinition(h, w, [...Array(columns).keys()]));
    }
    expect(errors.ordered).toBeLessThan(LEAST_ORDER_GAIN * errors.natural);
  });
});

test('a matrix is computed once, whichever of its tensors is read first', async () => {
  let jobs = 0;
  const executor: QuantizeExecutor = {
    ...plainExecutor,
    run(job) {
      jobs++;
      return plainExecutor.run(job);
    },
  };
  const { q, scales, zeros } = gptqMatrix(data, INT4, factorOf(hessian, COLUMNS), { executor });
  await readBytes(scales);
  await readBytes(q);
  await readBytes(zeros!);
  await readBytes(q, { begin: 100, end: 900 });
  expect(jobs).toBe(1);
});

test('what is no Hessian of the matrix', async () => {
  expect(() => factorHessian(new Float64Array(5), 2)).toThrow('a Hessian of 5 numbers for 2 columns');
  expect(() => factorHessian([1, 2, 2, 1], 2)).toThrow('not positive definite');
  expect(() => factorHessian([1, 0, 0, Number.NaN], 2)).toThrow('not positive definite');
  const other = gptqMatrix(data, INT4, factorOf([1, 0, 0, 1], 2));
  await expect(readBytes(other.q)).rejects.toThrow('a Hessian of 2 columns for 280');
});

describe('inputs themselves', () => {
  const rowsOf = (values: Float32Array, columns: number): ValueRows => ({
    columns,
    rows: values.length / columns,
    async *read() {
      for (let at = 0; at < values.length; at += columns) yield values.subarray(at, at + columns);
    },
  });

  test('give the factor of their products, from one value or from two', async () => {
    const x = Float32Array.from(inputs);
    const expected = factorHessian(gram(Float64Array.from(x)), COLUMNS).parts[0]!;
    for (const values of [
      [rowsOf(x, COLUMNS)],
      [rowsOf(x.subarray(0, 7 * COLUMNS), COLUMNS), rowsOf(x.subarray(7 * COLUMNS), COLUMNS)],
    ]) {
      const part = (await factorRows(values, plainExecutor)).parts[0]!;
      expect(part.order).toEqual(expected.order);
      part.upper.forEach((u, i) => expect(Math.abs(u - expected.upper[i]!)).toBeLessThan(INVERSE_TOLERANCE));
    }
  });

  test('of wide matrices are looked at in parts, which take memory by their columns alone', async () => {
    for (const columns of [1, 512, 1152, 2048, 4304, 16384]) {
      const parts = partsOf(columns);
      expect(parts.reduce((end, { first, size }) => (expect(first).toBe(end), end + size), 0)).toBe(columns);
      expect(Math.max(...parts.map(({ size }) => size))).toBeLessThanOrEqual(512);
    }
    const columns = 2100;
    const values = rowsOf(sampleWeights('gauss', 6 * columns, 5, 1), columns);
    const { parts } = await factorRows([values], plainExecutor);
    const bytes = parts.reduce((sum, part) => sum + part.upper.byteLength, 0);
    expect(bytes).toBeLessThanOrEqual(8 * 512 * columns);
    const matrix = bytesData('f32', [2, columns], new Uint8Array(sampleWeights('gauss', 2 * columns, 6).buffer));
    const whole = await dequantize(
      gptqMatrix(matrix, INT8, async () => ({ columns, parts })),
      columns,
    );
    const { size } = partsOf(columns)[0]!;
    const first = bytesData('f32', [1, size], (await readBytes(matrix)).slice(0, 4 * size));
    const alone = await dequantize(
      gptqMatrix(first, INT8, async () => ({ columns: size, parts: [parts[0]!] })),
      size,
    );
    expect([...whole.subarray(0, size)]).toEqual([...alone]);
  });
});

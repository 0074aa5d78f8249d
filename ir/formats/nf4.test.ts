import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { evaluateGraph } from '../evaluate.ts';
import { ops } from '../ops/index.ts';
import { quantizeMatrix } from '../quantize/quantize_matrix.ts';
import { usualScheme } from '../quantize/scheme.ts';
import { bytesData, readTensor, tensorData, tensorOf } from '../tensor.ts';
import { randomSource } from '../random_source.ts';
import { sampleWeights } from '../testing/weights.ts';
import { dequantizedData } from '../views/dequantize.ts';
import { codesShape } from './index.ts';
import { nf4 } from './nf4.ts';

const LEVELS = nf4.codebook;

/** The area under the normal curve up to x, by Simpson's rule from 0. */
function normalCdf(x: number): number {
  const steps = 2000;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density((x * i) / steps) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * x) / (3 * steps);
}

/** The x below which lies a share p of the normal distribution. */
function normalQuantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

test('the codebook is quantiles: 8 steps of probability above 0, 7 below, of which the outermost is ±1', () => {
  const outermost = 0.9677083; // bitsandbytes' offset: the mean of 1 - 1/32 and 1 - 1/30
  const side = (count: number) =>
    Array.from({ length: count }, (_, i) => normalQuantile(outermost + ((0.5 - outermost) * i) / count));
  const levels = [...side(7).map((x) => -x), 0, ...side(8).toReversed()];
  const expected = levels.map((level) => level / normalQuantile(outermost));
  expect(expected).toHaveLength(16);
  for (const [i, level] of expected.entries()) expect(LEVELS[i]).toBeCloseTo(level, 5);
});

/** By comparing with all levels: what a block of weights becomes. */
function naive(weights: readonly number[]): { readonly scale: number; readonly codes: readonly number[] } {
  const scale = tensorOf('f16', [1], [Math.max(...weights.map(Math.abs))]).data[0]!;
  const codes = weights.map((w) => {
    const distances = LEVELS.map((level) => Math.abs(w / scale - level));
    return distances.indexOf(Math.min(...distances));
  });
  return { scale, codes };
}

async function quantized(values: Float32Array, rows: number, columns: number) {
  const data = bytesData('f32', [rows, columns], new Uint8Array(values.buffer));
  const { q, scales, zeros } = quantizeMatrix(data, usualScheme('nf4'));
  expect(zeros).toBeUndefined();
  return { q, scales };
}

describe('quantizing', () => {
  test.each([64, 130, 200, 3])('%d columns: the largest magnitude as the scale, the nearest level', async (columns) => {
    const rows = 5;
    const values = sampleWeights('student_t5', rows * columns, columns);
    const { q, scales } = await quantized(values, rows, columns);
    const blocks = Math.ceil(columns / 64);
    expect([q.dtype, q.shape, scales.shape]).toEqual(['u4', [rows, blocks, 64], [rows, blocks]]);
    const [codes, found] = [(await readTensor(q)).data, (await readTensor(scales)).data];
    for (let row = 0; row < rows; row++)
      for (let b = 0; b < blocks; b++) {
        const block = [...values.subarray(row * columns + 64 * b, row * columns + Math.min(columns, 64 * (b + 1)))];
        const expected = naive(block);
        expect(found[row * blocks + b]).toBe(expected.scale);
        const at = (row * blocks + b) * 64;
        expect([...codes.subarray(at, at + block.length)]).toEqual(expected.codes);
        // what fills a row up means 0
        expect([...codes.subarray(at + block.length, at + 64)]).toEqual(Array(64 - block.length).fill(7));
      }
  });

  test('halfway between two levels goes to the lower one; a block of zeros means zeros', async () => {
    const values = new Float32Array(128);
    values.set([1, LEVELS[8] / 2, Math.fround(LEVELS[8] / 2) * 1.0001]);
    const { q, scales } = await quantized(values, 1, 128);
    expect([...(await readTensor(q)).data.subarray(0, 4)]).toEqual([15, 7, 8, 7]);
    expect([...(await readTensor(q)).data.subarray(64)]).toEqual(Array(64).fill(7));
    expect([...(await readTensor(dequantizedData({ format: 'nf4', q, scales }, [1, 128]))).data.subarray(64)]).toEqual(
      Array(64).fill(0),
    );
  });

  test('what has no code is refused by its place, as in every format', async () => {
    const values = new Float32Array(64);
    values[7] = Number.NaN;
    const { q } = await quantized(values, 1, 64);
    await expect(readTensor(q)).rejects.toMatchObject({
      code: 'non_finite',
      message: expect.stringContaining('column 7'),
    });
    const huge = await quantized(Float32Array.of(1e6), 1, 1);
    await expect(readTensor(huge.q)).rejects.toMatchObject({ code: 'overflow' });
  });

  test('schemes that codes of a codebook do not have', () => {
    const data = bytesData('f32', [1, 64], new Uint8Array(256));
    expect(() => quantizeMatrix(data, { ...usualScheme('nf4'), algorithm: 'search' })).toThrow('is not chosen so');
    expect(() => quantizeMatrix(data, { ...usualScheme('nf4'), symmetric: false })).toThrow('have no zero point');
  });
});

test('codes written down by hand, low half first, mean their levels', async () => {
  const q = bytesData('u4', [1, 1, 4], Uint8Array.of(0x10, 0xf7));
  const scales = tensorData(tensorOf('f32', [1, 1], [2]));
  const { data } = await readTensor(dequantizedData({ format: 'nf4', q, scales }, [1, 4]));
  expect([...data]).toEqual([-2, Math.fround(2 * LEVELS[1]), 0, 2]);
});

describe('blocks over the whole matrix, which run on across the ends of rows', () => {
  const [rows, columns, size] = [9, 4304, 64];
  const next = randomSource(11);
  const shape = codesShape({ size, over: 'matrix' }, rows, columns);
  const count = shape[0]! * size;
  const codes = Array.from({ length: count }, () => Math.floor(16 * next()));
  const factors = Float32Array.from({ length: shape[0]! }, () => 0.01 + next());
  const matrix = {
    format: 'nf4',
    q: tensorData(tensorOf('u4', shape, codes)),
    scales: tensorData(tensorOf('f32', [shape[0]!], factors)),
  } as const;
  const expected = Array.from({ length: rows * columns }, (_, i) =>
    Math.fround(LEVELS[codes[i]!]! * factors[Math.floor(i / size)]!),
  );

  test('the view is the matrix, read from any place', async () => {
    const data = dequantizedData(matrix, [rows, columns]);
    expect(data.shape).toEqual([9, 4304]);
    expect([...(await readTensor(data)).data]).toEqual(expected);
    for (const [begin, end] of [
      [0, 1],
      [4303, 4305],
      [63, 65],
      [3 * 4304, 5 * 4304],
      [rows * columns - 1, rows * columns],
    ] as const) {
      const bytes: number[] = [];
      for await (const chunk of data.chunks({ begin: 4 * begin, end: 4 * end, maxBytes: 40 })) bytes.push(...chunk);
      expect([...new Float32Array(Uint8Array.from(bytes).buffer)]).toEqual(expected.slice(begin, end));
    }
  });

  test('the op has them as one row, reshaped', async () => {
    const b = new GraphBuilder('g');
    const attrs = { format: 'nf4', columns: rows * columns } as const;
    const flat = b.op(ops.dequantize, [b.weight('q', matrix.q), b.weight('scales', matrix.scales)], attrs);
    b.output('y', b.op(ops.reshape, [flat], { shape: [rows, columns] }));
    const { y } = await evaluateGraph(b.build(), {});
    expect(y!.shape).toEqual([9, 4304]);
    expect([...y!.data]).toEqual(expected);
  });
});

import { describe, expect, test } from 'vitest';
import { kernelExports } from '../../testing/kernels.ts';
import { randomSource } from '../../random_source.ts';
import { formOf } from './form.js';
import { quantizeGptq } from './gptq.js';
import { quantizeScalar, type Blocks } from './scalar.js';
import { isVectorized, quantizeSimd } from './simd.js';

/* Weights at and below the smallest scale, 2^-24: zeros would be off by all of them, and codes by no more. */

const BLOCK = 32;
/** Where blocks lie, in their own width: about 0, above it, below it, nearly constant. */
const OFFSETS = [0, 0.9, -0.9, 3, -3, 100, -100];

const exports = kernelExports();

const values = (() => {
  const next = randomSource(5);
  const blocks = Array.from({ length: 120 }, (_, e) =>
    OFFSETS.map((offset) => ({ size: 10 ** (e / 10 - 13), offset })),
  );
  return Float32Array.from(
    blocks.flat().flatMap(({ size, offset }) => Array.from({ length: BLOCK }, () => (2 * next() - 1 + offset) * size)),
  );
})();

function blocksOf(form: Blocks['form'], algorithm: Blocks['algorithm']): Blocks {
  const count = values.length / BLOCK;
  return {
    bytes: new Uint8Array(values.buffer),
    dtype: 'f32',
    count,
    form,
    algorithm,
    importance: undefined,
    q: new Uint8Array((values.length * form.bits) / 8),
    scales: new Float32Array(count),
    zeros: new Float32Array(count),
  };
}

/** The largest Σ (w − ŵ)² / Σ w² of all blocks: 1 is what zeros give. */
function worst({ q, scales, zeros, form }: Blocks): number {
  const code = (i: number) => (form.bits === 8 ? q[i]! : (q[i >> 1]! >> (4 * (i & 1))) & 15);
  const ratios = Array.from(scales, (scale, b) => {
    let [error, all] = [0, 0];
    for (let i = b * BLOCK; i < (b + 1) * BLOCK; i++) {
      error += (values[i]! - (code(i) - zeros[b]!) * scale) ** 2;
      all += values[i]! ** 2;
    }
    return error / all;
  });
  return Math.max(...ratios);
}

describe.each([
  { bits: 4, symmetric: false, floatZero: false },
  { bits: 4, symmetric: false, floatZero: true },
  { bits: 4, symmetric: true, floatZero: false },
  { bits: 8, symmetric: true, floatZero: false },
  { bits: 8, symmetric: false, floatZero: false },
] as const)('%o', (shape) => {
  const form = formOf({ ...shape, block: BLOCK });

  test.each(['rtn', 'search', 'hqq'] as const)('%s is no worse than zeros', (algorithm) => {
    const plain = blocksOf(form, algorithm);
    expect(quantizeScalar(plain)).toBeUndefined();
    expect(worst(plain)).toBeLessThanOrEqual(1 + 1e-6);
    if (!isVectorized(plain)) return;
    const vectors = blocksOf(form, algorithm);
    quantizeSimd(exports, vectors);
    for (const part of ['scales', 'zeros', 'q'] as const) expect(vectors[part]).toEqual(plain[part]);
  });

  test('neither is GPTQ, where no error is spread', () => {
    const blocks = blocksOf(form, 'search');
    expect(quantizeScalar(blocks)).toBeUndefined();
    const upper = Float64Array.from({ length: BLOCK * BLOCK }, (_, i) => Number(i % (BLOCK + 1) === 0));
    const order = Uint32Array.from({ length: BLOCK }, (_, k) => k);
    quantizeGptq(blocks, [{ first: 0, upper, order }], BLOCK);
    expect(worst(blocks)).toBeLessThanOrEqual(1 + 1e-6);
  });
});

test('a float zero point gives constant blocks below the smallest scale back', () => {
  const form = formOf({ bits: 4, symmetric: false, floatZero: true, block: BLOCK });
  for (const value of [1.5 * 2 ** -24, -1.5 * 2 ** -24]) {
    const blocks = {
      ...blocksOf(form, 'rtn'),
      bytes: new Uint8Array(new Float32Array(BLOCK).fill(value).buffer),
      count: 1,
    };
    quantizeScalar(blocks);
    expect(((blocks.q[0]! % 16) - blocks.zeros[0]!) * blocks.scales[0]!).toBe(value);
  }
});

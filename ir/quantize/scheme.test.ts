import { describe, expect, it } from 'vitest';
import type { DType } from '../dtypes/index.ts';
import { bytesData } from '../tensor.ts';
import { QuantizeError } from './error.ts';
import { INT4, INT8, isWeightType, layoutOf, printScheme, usualScheme, type Scheme } from './scheme.ts';

const matrix = (shape: readonly number[], dtype: DType = 'f32') =>
  bytesData(dtype, shape, new Uint8Array(shape.reduce((a, b) => a * b, 1) * (dtype === 'f32' ? 4 : 2)));
const layout = (scheme: Scheme, columns = 71, rows = 3) => layoutOf(matrix([rows, columns]), scheme, false);

describe('how a matrix lies in codes', () => {
  it.each<[string, Scheme, number, [number, number, number]]>([
    ['int4, the last block padded', INT4, 71, [3, 32, 48]],
    ['int4, whole blocks', INT4, 64, [2, 32, 32]],
    ['int8, the last block padded', INT8, 71, [3, 32, 96]],
    ['int4, a row that ends within a byte', { ...INT4, block: 0 }, 71, [1, 72, 36]],
    ['int4, a row of whole bytes', { ...INT4, block: 0 }, 72, [1, 72, 36]],
    ['int8, a row', { ...INT8, block: 0 }, 71, [1, 71, 71]],
    ['int4, the smallest blocks', { ...INT4, block: 8 }, 9, [2, 8, 8]],
    ['int4, the largest', { ...INT4, block: 65536 }, 9, [1, 65536, 32768]],
  ])('%s', (_, scheme, columns, [blocks, block, rowBytes]) => {
    const made = layout(scheme, columns);
    expect([made.rows, made.columns, made.blocks, made.form.block, made.rowBytes]).toEqual([
      3,
      columns,
      blocks,
      block,
      rowBytes,
    ]);
  });

  it('has the codebook of its format, and whether it may overflow', () => {
    expect(layout(usualScheme('nf4')).form.codebook).toHaveLength(16);
    expect(layout(INT4).form.codebook).toBeUndefined();
    const [open, bounded] = [true, false].map((may) => layoutOf(matrix([1, 8]), INT4, may).form.limit) as [
      number,
      number,
    ];
    expect(open).toBeGreaterThan(bounded);
  });
});

describe('a scheme is refused', () => {
  const refusal = (run: () => unknown): QuantizeError => {
    try {
      run();
    } catch (error) {
      if (error instanceof QuantizeError) return error;
    }
    throw new Error('it was not refused');
  };

  it.each<[string, Scheme]>([
    ['blocks of 12', { ...INT4, block: 12 }],
    ['blocks of -8', { ...INT4, block: -8 }],
    ['blocks of 65544', { ...INT4, block: 65544 }],
    ['blocks of NaN', { ...INT4, block: NaN }],
    ['blocks of 8.5', { ...INT4, block: 8.5 }],
    ['has no float zero point', { ...INT4, symmetric: true, floatZero: true }],
    ['has no float zero point', { ...INT8, symmetric: false, floatZero: true }],
    ['is not chosen so', { ...usualScheme('nf4'), algorithm: 'hqq' }],
    ['have no zero point', { ...usualScheme('nf4'), symmetric: false }],
  ])('%s', (message, scheme) => {
    const error = refusal(() => layout(scheme));
    expect(error.code).toBe('scheme');
    expect(error.message).toContain(message);
  });

  it.each<[readonly number[], DType, string]>([
    [[4], 'f32', 'no matrix'],
    [[2, 2, 2], 'f32', 'no matrix'],
    [[0, 4], 'f32', 'no matrix'],
    [[4, 0], 'f32', 'no matrix'],
  ])('for %j of %s', (shape, dtype, message) => {
    expect(refusal(() => layoutOf(matrix(shape, dtype), INT8, false)).message).toContain(message);
  });
});

it('weights are floats', () => {
  expect((['f32', 'f16', 'bf16', 'i32', 'u8', 'bool'] as const).map(isWeightType)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

it('a scheme in words', () => {
  expect(printScheme(INT4)).toBe('int4 block 32, zero point, search');
  expect(printScheme({ ...INT8, block: 0 })).toBe('int8 per channel, symmetric, search');
  expect(printScheme({ ...INT4, floatZero: true, algorithm: 'rtn' })).toBe('int4 block 32, float zero point, rtn');
});

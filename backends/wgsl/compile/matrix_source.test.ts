import { describe, expect, it } from 'vitest';
import { readTensor, tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { castData } from '../../../ir/views/cast.ts';
import { padRows } from '../../../ir/views/concat.ts';
import type { Quantized } from '../../../ir/views/dequantize.ts';
import { codedMatrix, floatMatrix, rowsOf, sameForm, zeroRowsApart } from './matrix_source.ts';

const codes = (shape: readonly number[], most: number, from = 0): TensorData =>
  tensorData(
    tensorOf(
      'u8',
      shape,
      Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => (from + 7 * i) % most),
    ),
  );
const halves = (shape: readonly number[], seed: number): TensorData =>
  castData(castData(tensorData(randomTensor('f32', shape, seed)), 'f16'), 'f32');

/** Four rows of two blocks, with zero points. */
function quantized(block: number): Required<Quantized<TensorData>> {
  return { format: 'int8', q: codes([4, 2, block], 256), scales: halves([4, 2], 1), zeros: codes([4, 2], 200, 100) };
}

const valuesOf = async (data: TensorData): Promise<number[]> => [...(await readTensor(data)).data];

describe('floats', () => {
  const stored = tensorData(randomTensor('f32', [3, 5], 2));

  it('of f16 stay as they are, others lie as f32', async () => {
    const half = castData(stored, 'f16');
    const whole = floatMatrix('w', { data: castData(half, 'f32'), stored: half }, [3, 5]);
    expect(whole).toMatchObject({ name: 'w', form: { kind: 'f16' }, rows: 3, columns: 5, parts: { data: half } });
    const narrow = castData(stored, 'bf16');
    const wide = floatMatrix('w', { data: narrow, stored: narrow }, [3, 5]);
    expect(wide.form).toEqual({ kind: 'f32' });
    expect(wide.parts.kind === 'float' && wide.parts.data.dtype).toBe('f32');
  });
});

describe('codes', () => {
  it('in blocks that kernels read stay codes', () => {
    const parts = quantized(32);
    expect(codedMatrix('w', parts, 64)).toMatchObject({
      form: { kind: 'int8', block: 32, zeros: true, wide: false },
      rows: 4,
      columns: 64,
      parts: { kind: 'codes', q: parts.q, scales: parts.scales, zeros: parts.zeros },
    });
  });

  it('in others are what they mean, zero points included', async () => {
    const { q, scales, zeros, format } = quantized(24);
    const { form, parts, rows, columns } = codedMatrix('w', { format, q, scales, zeros }, 40);
    expect([form, rows, columns]).toEqual([{ kind: 'f32' }, 4, 40]);
    const [c, s, z] = [await valuesOf(q), await valuesOf(scales), await valuesOf(zeros)];
    const expected = Array.from({ length: 4 * 40 }, (_, i) => {
      const [row, column] = [Math.floor(i / 40), i % 40];
      const block = 2 * row + Math.floor(column / 24);
      return Math.fround((c[24 * block + (column % 24)]! - z[block]!) * s[block]!);
    });
    expect(await valuesOf((parts as { data: TensorData }).data)).toEqual(expected);
  });
});

describe('the key', () => {
  const parts = quantized(32);
  const key = (change: Partial<Quantized<TensorData>>, columns = 64) =>
    codedMatrix('any name', { ...parts, ...change }, columns).key;

  it('is that of equal parts, whatever they are called', () => {
    expect(codedMatrix('w', parts, 64).key).toBe(codedMatrix('v', { ...parts }, 64).key);
  });

  it('tells apart what differs in any part', () => {
    const { zeros: _, ...symmetric } = parts;
    const keys = [
      key({}),
      key({ q: codes([4, 2, 32], 256, 1) }),
      key({ scales: halves([4, 2], 5) }),
      key({ zeros: codes([4, 2], 200, 3) }),
      codedMatrix('w', symmetric, 64).key,
      key({}, 63),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

it('rows of codes have their scales and zero points', async () => {
  const parts = quantized(32);
  const cut = rowsOf(codedMatrix('w', parts, 64), 1, 2);
  expect([cut.rows, cut.columns]).toEqual([2, 64]);
  for (const part of ['q', 'scales', 'zeros'] as const) {
    const [whole, own] = [await valuesOf(parts[part]), await valuesOf((cut.parts as typeof parts)[part])];
    expect(own).toEqual(whole.slice(whole.length / 4, (3 * whole.length) / 4));
  }
});

describe('a table that zeros fill up', () => {
  const table = (data: TensorData, rows: number) => floatMatrix('t', { data, stored: data }, [rows, 4]);
  const values = tensorData(randomTensor('f32', [5, 4], 3));

  it('is its rows, and those of zeros', async () => {
    const joined = padRows(values, 8);
    const parts = zeroRowsApart(table(joined, 8));
    expect(parts.map(({ rows }) => rows)).toEqual([5, 3]);
    expect(await valuesOf((parts[0]!.parts as { data: TensorData }).data)).toEqual(await valuesOf(values));
    // so that a head of the first alone is known to be the same
    expect(parts[0]!.key).toBe(table(values, 5).key);
  });

  it('is whole where nothing was joined', () => {
    const whole = table(values, 5);
    expect(zeroRowsApart(whole)).toEqual([whole]);
  });
});

it('forms are the same where one text reads both', () => {
  const form = { kind: 'int4', block: 32, zeros: false, wide: false } as const;
  expect(sameForm(form, { ...form })).toBe(true);
  for (const other of [
    { ...form, zeros: true },
    { ...form, wide: true },
    { ...form, block: 64 },
    { kind: 'f16' } as const,
  ])
    expect(sameForm(form, other)).toBe(false);
});

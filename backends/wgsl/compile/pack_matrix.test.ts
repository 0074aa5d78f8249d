import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dtypes, type DType } from '../../../ir/dtypes/index.ts';
import { formats, type FormatName } from '../../../ir/formats/index.ts';
import { readBytes, tensorData, tensorOf, type Tensor, type TensorData } from '../../../ir/tensor.ts';
import { affineFormat } from '../../../ir/testing/affine_format.ts';
import { randomSource } from '../../../ir/random_source.ts';
import { castData } from '../../../ir/views/cast.ts';
import { dequantizedValues } from '../../../ir/views/dequantize.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import { isCoded, matrixVectors, scaleWordsPerRow, vectorsPerRow, type MatrixForm } from '../kernels/matrix_form.ts';
import { formOf, packMatrix, type MatrixParts } from './pack_matrix.ts';

const random = randomSource(3);

function tensor(dtype: DType, shape: readonly number[], value: () => number): Tensor {
  return tensorOf(dtype, shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value));
}

/** An element by the description of MatrixForm, from words. */
function elementAt(
  form: MatrixForm,
  words: Uint32Array,
  rows: number,
  columns: number,
  row: number,
  column: number,
): number {
  const perRow = 4 * vectorsPerRow(form, columns);
  const bits = isCoded(form) ? formats[form.kind].bits : { f32: 32, f16: 16 }[form.kind];
  const decoded = (dtype: 'f32' | 'f16', pattern: number) => {
    const out = new Float32Array(1);
    dtypes[dtype].decode(new Uint8Array(Uint32Array.of(pattern).buffer), 1, out, 0);
    return out[0]!;
  };
  const pattern =
    (words[row * perRow + Math.floor((column * bits) / 32)]! >>> ((column * bits) % 32)) &
    (bits === 32 ? -1 : 2 ** bits - 1);
  if (!isCoded(form)) return decoded(form.kind, pattern);
  const { codebook } = formats[form.kind];
  const first = rows * perRow + row * scaleWordsPerRow(form, columns);
  const block = Math.floor(column / form.block);
  const middle = 2 ** (bits - 1);
  if (codebook) {
    const half = words[first + Math.floor(block / 2)]! >>> (16 * (block % 2));
    return codebook[pattern]! * (form.wide ? decoded('f32', words[first + 2 * block]!) : decoded('f16', half & 0xffff));
  }
  if (form.wide)
    return (pattern - decoded('f32', words[first + 2 * block + 1]!)) * decoded('f32', words[first + 2 * block]!);
  if (form.zeros)
    return (pattern - decoded('f16', words[first + block]! >>> 16)) * decoded('f16', words[first + block]! & 0xffff);
  return (pattern - middle) * decoded('f16', (words[first + Math.floor(block / 2)]! >>> (16 * (block % 2))) & 0xffff);
}

async function unpacked(
  form: MatrixForm,
  columns: number,
  parts: readonly MatrixParts[],
  rows: number,
): Promise<number[]> {
  const packed = packMatrix(form, columns, parts);
  expect(packed.byteLength).toBe(16 * matrixVectors(form, rows, columns));
  const words = new Uint32Array((await readBytes(packed)).buffer);
  return Array.from({ length: rows * columns }, (_, at) =>
    elementAt(form, words, rows, columns, Math.floor(at / columns), at % columns),
  );
}

/** Codes of random numbers, and the matrix that they stand for. */
function codes(
  dtype: 'u4' | 'i4' | 'u8' | 'i8',
  [rows, columns, block]: readonly [number, number, number],
  zeroType?: DType,
  scaleType: DType = 'f16',
  format: FormatName = affineFormat(dtype),
) {
  const blocks = Math.ceil(columns / block);
  const { bits } = dtypes[dtype];
  const least = dtype.startsWith('i') ? -(2 ** (bits - 1)) : 0;
  const q = tensor(dtype, [rows, blocks, block], () => least + Math.floor(random() * 2 ** bits));
  const scales = tensor(scaleType, [rows, blocks], () => 0.01 + random());
  const zeros =
    zeroType &&
    tensor(zeroType, [rows, blocks], () =>
      dtypes[zeroType].kind === 'float' ? random() * 15 : least + Math.floor(random() * 2 ** bits),
    );
  const values = new Float64Array(rows * columns);
  const range = { first: 0, count: rows * blocks, blocks, block, columns };
  dequantizedValues({ format, q, scales, ...(zeros && { zeros }) }, range, values);
  const asF32 = (t: Tensor): TensorData =>
    dtypes[t.dtype].kind === 'float' ? castData(tensorData(t), 'f32') : tensorData(t);
  return {
    parts: {
      kind: 'codes',
      format,
      q: tensorData(q),
      scales: asF32(scales),
      ...(zeros && { zeros: asF32(zeros) }),
    } as const,
    values: [...values],
  };
}

const formOfParts = (parts: Extract<MatrixParts, { kind: 'codes' }>) => formOf(parts)!;

describe('packMatrix', () => {
  for (const [dtype, kind] of [
    ['f32', 'f32'],
    ['bf16', 'f32'],
    ['f16', 'f16'],
    ['f16', 'f32'],
  ] as const)
    for (const columns of [64, 33])
      it(`${dtype} as ${kind}, ${columns} columns`, async () => {
        const matrix = tensor(dtype, [5, columns], () => 2 * random() - 1);
        expect(await unpacked({ kind }, columns, [{ kind: 'float', data: tensorData(matrix) }], 5)).toEqual([
          ...matrix.data,
        ]);
      });

  for (const dtype of ['u4', 'i4', 'u8', 'i8'] as const)
    for (const [columns, block] of [
      [96, 32],
      [70, 64],
      [100, 32],
      [33, 34],
      [128, 128],
    ] as const)
      for (const zeroType of [undefined, dtype, 'f16', 'f32'] as const)
        it(`${dtype} in blocks of ${block}, ${columns} columns, zeros ${zeroType ?? 'none'}`, async () => {
          const { parts, values } = codes(dtype, [5, columns, block], zeroType);
          const found = await unpacked(formOfParts(parts), columns, [parts], 5);
          // a moved zero point of 24 bits is rounded once more
          expect(Math.max(...found.map((value, at) => Math.abs(value - values[at]!)))).toBeLessThan(
            zeroType === 'f32' && dtype.startsWith('i') ? 1e-5 : 1e-12,
          );
        });

  for (const scaleType of ['f16', 'f32'] as const)
    for (const columns of [128, 130, 33])
      it(`codes of a codebook, ${columns} columns, scales that are ${scaleType}`, async () => {
        const { parts, values } = codes('u4', [5, columns, 64], undefined, scaleType, 'nf4');
        expect(formOfParts(parts)).toEqual({ kind: 'nf4', block: 64, zeros: false, wide: scaleType === 'f32' });
        expect(await unpacked(formOfParts(parts), columns, [parts], 5)).toEqual(values);
      });

  it('scales that are no halves stay as they are', async () => {
    const { parts, values } = codes('u4', [4, 64, 32], undefined, 'f32');
    expect(formOfParts(parts)).toEqual({ kind: 'int4', block: 32, zeros: false, wide: true });
    expect(await unpacked(formOfParts(parts), 64, [parts], 4)).toEqual(values);
  });

  it('joined matrices: rows of all, then scales of all, an odd number of 4-bit zero points in each', async () => {
    const all = [codes('u4', [3, 96, 32], 'u4'), codes('u4', [5, 96, 32], 'u4'), codes('u4', [1, 96, 32], 'u4')];
    const parts = all.map((matrix) => matrix.parts);
    expect(await unpacked(formOfParts(parts[0]!), 96, parts, 9)).toEqual(all.flatMap(({ values }) => values));
  });

  it('rows of a matrix', async () => {
    const { parts, values } = codes('u4', [6, 96, 32], 'u4');
    const cut = (data: TensorData) => sliceRows(data, 2, 6);
    const rows = { ...parts, q: cut(parts.q), scales: cut(parts.scales), zeros: cut(parts.zeros!) } as const;
    expect(formOfParts(rows)).toEqual(formOfParts(parts));
    expect(await unpacked(formOfParts(parts), 96, [rows], 4)).toEqual(values.slice(2 * 96));
  });

  it('any range of bytes, in chunks of any size', async () => {
    const matrices = [
      ...(['u4', 'i8'] as const).map((dtype) => [
        codes(dtype, [5, 100, 32], dtype).parts,
        codes(dtype, [3, 100, 32], dtype).parts,
      ]),
      [{ kind: 'float', data: tensorData(tensor('f16', [7, 33], random)) } as const],
      [{ kind: 'float', data: tensorData(tensor('f32', [7, 64], random)) } as const],
    ];
    for (const parts of matrices) {
      const [first] = parts as [MatrixParts];
      const form: MatrixForm =
        first.kind === 'codes' ? formOfParts(first) : { kind: first.data.dtype as 'f16' | 'f32' };
      const packed = packMatrix(form, first.kind === 'codes' ? 100 : first.data.shape[1]!, parts);
      const whole = await readBytes(packed);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(packed.byteLength),
          fc.nat(packed.byteLength),
          fc.integer({ min: 8, max: 300 }),
          async (a, b, maxBytes) => {
            const range = { begin: Math.min(a, b), end: Math.max(a, b), maxBytes };
            let largest = 0;
            for await (const chunk of packed.chunks(range)) largest = Math.max(largest, chunk.byteLength);
            expect(largest).toBeLessThanOrEqual(maxBytes);
            expect(await readBytes(packed, range)).toEqual(whole.subarray(range.begin, range.end));
          },
        ),
        { numRuns: 30 },
      );
    }
  });

  it('holds a few megabytes of a large matrix', async () => {
    let largest = 0;
    const rows = 6000;
    const zeros = (dtype: DType, shape: readonly number[], byteLength: number): TensorData => ({
      dtype,
      shape,
      byteLength,
      async *chunks({ begin = 0, end = byteLength } = {}) {
        largest = Math.max(largest, end - begin);
        yield new Uint8Array(end - begin);
      },
    });
    const parts = {
      kind: 'codes',
      format: 'int8',
      q: zeros('i8', [rows, 64, 32], rows * 2048),
      scales: zeros('f32', [rows, 64], rows * 256),
    } as const;
    for await (const chunk of packMatrix(formOfParts(parts), 2040, [parts]).chunks())
      largest = Math.max(largest, chunk.byteLength);
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});

describe('formOf', () => {
  const form = (...args: Parameters<typeof codes>) => formOf(codes(...args).parts);

  it('knows which blocks and scales kernels read', () => {
    expect(form('u8', [2, 64, 32])).toEqual({ kind: 'int8', block: 32, zeros: false, wide: false });
    expect(form('u4', [2, 64, 32], 'f16')).toEqual({ kind: 'int4', block: 32, zeros: true, wide: false });
    expect(form('u4', [2, 64, 32], 'f32')).toEqual({ kind: 'int4', block: 32, zeros: true, wide: true });
    expect(form('i4', [2, 64, 32], 'f16')).toEqual({ kind: 'int4', block: 32, zeros: true, wide: true });
    expect(form('u8', [2, 64, 32], undefined, 'bf16')).toEqual({ kind: 'int8', block: 32, zeros: false, wide: true });
    expect(form('u8', [2, 50, 50])).toEqual({ kind: 'int8', block: 64, zeros: false, wide: false });
    expect(form('u8', [2, 64, 16])).toBeUndefined();
  });
});

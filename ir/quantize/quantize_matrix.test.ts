import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesData, readBytes, readTensor, type ReadOptions, type TensorData } from '../tensor.ts';
import { dequantize } from '../testing/dequantize.ts';
import { sampleWeights } from '../testing/weights.ts';
import { castData } from '../views/cast.ts';
import { transposeData } from '../views/transpose.ts';
import { plainExecutor, type QuantizeExecutor, type QuantizeJob } from './executor.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { INT4, INT8, type Scheme } from './scheme.ts';

function matrix(rows: number, columns: number, values = sampleWeights('gauss', rows * columns, 1)): TensorData {
  return bytesData('f32', [rows, columns], new Uint8Array(values.buffer), {
    file: 'model.safetensors',
    key: 'w',
    byteOffset: 0,
  });
}

/** The data, and how many bytes of it were read. */
function watched(data: TensorData): { data: TensorData; read(): number } {
  let read = 0;
  return {
    read: () => read,
    data: {
      ...data,
      async *chunks(options?: ReadOptions) {
        for await (const chunk of data.chunks(options)) {
          read += chunk.byteLength;
          yield chunk;
        }
      },
    },
  };
}

function countingExecutor(): QuantizeExecutor & { readonly jobs: QuantizeJob[] } {
  const jobs: QuantizeJob[] = [];
  return {
    ...plainExecutor,
    jobs,
    width: 2,
    run(job) {
      jobs.push(job);
      return plainExecutor.run(job);
    },
  };
}

const RTN4: Scheme = { ...INT4, algorithm: 'rtn' };

test('what the tensors are', async () => {
  const { q, scales, zeros } = quantizeMatrix(matrix(3, 70), INT4);
  expect([q, scales, zeros].map((t) => [t!.dtype, t!.shape])).toEqual([
    ['u4', [3, 3, 32]],
    ['f32', [3, 3]],
    ['u4', [3, 3]],
  ]);
  expect(q.from?.key).toBe('w');
  const int8 = quantizeMatrix(matrix(3, 70), INT8);
  expect([int8.q.dtype, int8.q.shape, int8.zeros]).toEqual(['u8', [3, 3, 32], undefined]);
  const perChannel = quantizeMatrix(matrix(3, 71), { ...INT4, block: 0, floatZero: true });
  expect([perChannel.q.shape, perChannel.zeros!.dtype, perChannel.zeros!.shape]).toEqual([[3, 1, 72], 'f32', [3, 1]]);
});

test('round to nearest by hand: scales rounded to f16 first, ties to even, the padding means 0', async () => {
  const values = Float32Array.from({ length: 34 }, () => 0);
  values.set([-1.75, -0.125, 0.125, 0.375, 2], 0);
  values.set([0.7, 0.3], 32);
  const { q, scales, zeros } = quantizeMatrix(matrix(1, 34, values), RTN4);
  expect([...(await readTensor(scales)).data]).toEqual([0.25, 0.046661376953125]); // 3.75 / 15; f16(0.7 / 15)
  expect([...(await readTensor(zeros!)).data]).toEqual([7, 0]);
  const codes = [...(await readTensor(q)).data];
  expect(codes.slice(0, 6)).toEqual([0, 6, 8, 8, 15, 7]); // 6.5 and 7.5 are ties, 8.5 another
  expect(codes.slice(32)).toEqual([15, 6, ...Array<number>(30).fill(0)]);
  const symmetric = quantizeMatrix(matrix(1, 34, values), { ...INT8, algorithm: 'rtn' });
  expect([...(await readTensor(symmetric.q)).data].slice(0, 6)).toEqual([17, 120, 136, 152, 255, 128]);
});

test('a block of zeros has the smallest scale and codes equal to its zero point', async () => {
  for (const scheme of [
    INT4,
    INT8,
    { ...INT4, symmetric: true },
    { ...INT4, floatZero: true },
    { ...INT4, algorithm: 'hqq' as const },
  ]) {
    const quantized = quantizeMatrix(matrix(1, 32, new Float32Array(32)), scheme);
    expect([...(await readTensor(quantized.scales)).data]).toEqual([2 ** -24]);
    expect(new Set(await dequantize(quantized, 32))).toEqual(new Set([0]));
  }
});

test('scales are values of f16, read in f16 without a loss', async () => {
  for (const scheme of [INT4, INT8, { ...INT4, symmetric: true }]) {
    const { scales } = quantizeMatrix(matrix(40, 96), scheme);
    expect((await readTensor(castData(scales, 'f16'))).data).toEqual((await readTensor(scales)).data);
  }
});

describe('reading', () => {
  test('nothing is read before chunks are', () => {
    const { data, read } = watched(matrix(4, 64));
    const { q, scales } = quantizeMatrix(data, INT4);
    q.chunks();
    scales.chunks();
    expect(read()).toBe(0);
  });

  // 300 rows of 2048 are three runs
  const large = matrix(300, 2048);

  test('codes first: scales and zero points come from the same pass', async () => {
    const { data, read } = watched(large);
    const executor = countingExecutor();
    const { q, scales, zeros } = quantizeMatrix(data, RTN4, { executor });
    await readBytes(q);
    await readBytes(zeros!);
    await readBytes(scales);
    expect(executor.jobs.map((job) => job.rows)).toEqual([128, 128, 44]);
    expect(read()).toBe(large.byteLength);
  });

  test('scales first: codes follow from them without another search', async () => {
    const executor = countingExecutor();
    const { q, scales, zeros } = quantizeMatrix(large, RTN4, { executor });
    const fresh = quantizeMatrix(large, RTN4);
    await readBytes(scales);
    await readBytes(zeros!);
    expect(Buffer.from(await readBytes(q)).equals(await readBytes(fresh.q))).toBe(true);
    expect(executor.jobs.map((job) => job.given !== undefined)).toEqual([false, false, false, true, true, true]);
  });

  test.each<Scheme>([RTN4, { ...RTN4, floatZero: true }, { ...INT8, symmetric: false, algorithm: 'rtn' }])(
    'any range in any chunks, in any order: %o',
    async (scheme) => {
      const data = matrix(37, 72); // three blocks a row: 4-bit zero points of two rows share a byte
      const whole = quantizeMatrix(data, scheme);
      const parts = ['q', 'scales', 'zeros'] as const;
      const expected = new Map(
        await Promise.all(parts.map(async (part) => [part, await readBytes(whole[part]!)] as const)),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.constantFrom(...parts), fc.nat(), fc.nat(), fc.integer({ min: 8, max: 600 })), {
            maxLength: 5,
          }),
          async (reads) => {
            const quantized = quantizeMatrix(data, scheme);
            for (const [part, a, b, maxBytes] of reads) {
              const tensor = quantized[part]!;
              const unit = part === 'scales' || tensor.dtype === 'f32' ? 4 : 1;
              const begin = (a % (tensor.byteLength / unit + 1)) * unit;
              const end = begin + (b % ((tensor.byteLength - begin) / unit + 1)) * unit;
              const got: Uint8Array[] = [];
              for await (const chunk of tensor.chunks({ begin, end, maxBytes })) {
                expect(chunk.byteLength).toBeLessThanOrEqual(maxBytes);
                got.push(chunk);
              }
              expect(Buffer.concat(got)).toEqual(Buffer.from(expected.get(part)!.subarray(begin, end)));
            }
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  test('a consumer that stops early leaves nothing behind', async () => {
    const { q } = quantizeMatrix(large, RTN4);
    for await (const chunk of q.chunks({ maxBytes: 1024 })) {
      expect(chunk.byteLength).toBe(1024);
      break;
    }
  });

  test('bf16 that was widened is read in its own bits; a transpose is read once', async () => {
    const f32 = matrix(64, 640);
    const bf16 = castData(f32, 'bf16');
    const executor = countingExecutor();
    const widened = castData(transposeData(bf16, [1, 0]), 'f32');
    const { q } = quantizeMatrix(widened, INT8, { executor });
    const codes = await readBytes(q);
    expect(executor.jobs.map((job) => job.dtype)).toEqual(['bf16']);
    const plain = bytesData('f32', [640, 64], await readBytes(widened));
    expect(await readBytes(quantizeMatrix(plain, INT8).q)).toEqual(codes);
  });
});

describe('what is refused', () => {
  test.each<[string, Partial<Scheme>]>([
    ['blocks of 30', { block: 30 }],
    ['blocks of -32', { block: -32 }],
    ['blocks of 131072', { block: 131072 }],
    ['int8 block 32, float zero point, search has no float zero point', { format: 'int8', floatZero: true }],
  ])('%s', (message, scheme) => {
    expect(() => quantizeMatrix(matrix(2, 32), { ...INT4, ...scheme })).toThrow(message);
  });

  test('what is no matrix of floats', () => {
    expect(() => quantizeMatrix(bytesData('f32', [4], new Uint8Array(16)), INT4)).toThrow(
      'f32[4] is no matrix of weights',
    );
    expect(() => quantizeMatrix(bytesData('i8', [4, 4], new Uint8Array(16)), INT4)).toThrow('weights of i8');
  });

  test('importance that is none', () => {
    expect(() => quantizeMatrix(matrix(2, 32), INT4, { importance: [1] })).toThrow('importance of 1 columns for 32');
    expect(() => quantizeMatrix(matrix(2, 2), INT4, { importance: [1, Number.NaN] })).toThrow(
      'importance NaN of column 1',
    );
    expect(() => quantizeMatrix(matrix(2, 2), INT4, { importance: [1, -1] })).toThrow('importance -1 of column 1');
  });

  test.each([
    [Number.NaN, 'non_finite', 'weight NaN in row 151, column 33 of w has no code'],
    [-Infinity, 'non_finite', 'weight -Infinity in row 151, column 33 of w has no code'],
    [1e9, 'overflow', 'weight 1000000000 in row 151, column 33 of w needs a scale beyond 65504'],
  ])('a weight of %d, by its place', async (value, code, message) => {
    const values = new Float32Array(200 * 2048);
    values[151 * 2048 + 33] = value;
    const { scales } = quantizeMatrix(matrix(200, 2048, values), RTN4);
    await expect(readBytes(scales)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      place: { file: 'model.safetensors', tensor: 'w' },
    });
  });

  test('overflow that is allowed saturates', async () => {
    const values = Float32Array.from({ length: 32 }, (_, i) => i * 1e6);
    const quantized = quantizeMatrix(matrix(1, 32, values), RTN4, { allowOverflow: true });
    expect((await dequantize(quantized, 32)).at(-1)).toBe(15 * 65504);
  });
});

test('importance of no column is the same as none', async () => {
  const codes = async (importance?: number[]) =>
    readBytes(quantizeMatrix(matrix(2, 32), INT4, importance && { importance }).q);
  expect(await codes(Array<number>(32).fill(0))).toEqual(await codes());
  expect(await codes(Array<number>(32).fill(7))).toEqual(await codes());
});

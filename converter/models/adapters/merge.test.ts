import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesData,
  elementCount,
  readBytes,
  readRange,
  readTensor,
  tensorData,
  tensorOf,
  type TensorData,
} from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { selectRow, sliceRows } from '../../../ir/views/select.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { lowRankNorm, type LowRank } from './low_rank.ts';
import { addedBias, measuredChange, mergedDora, mergedEmbeddingDora, mergedLora } from './merge.ts';

function randomData(shape: readonly number[], seed: number): TensorData {
  const values = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => Math.sin(seed * 77.7 + i * 12.9898) * 1.5,
  );
  return bytesData('f32', shape, new Uint8Array(values.buffer));
}

/** The same factors as a linear layer stores them and as an embedding does. */
function factorsOf(rows: number, columns: number, rank: number, transposed: boolean): LowRank {
  const left = randomData([rows, rank], 1);
  const right = randomData([rank, columns], 2);
  return {
    rank,
    scaling: -0.75,
    rows,
    columns,
    left: transposed ? transposeData(left, [1, 0]) : left,
    right: transposed ? transposeData(right, [1, 0]) : right,
    transposed,
  };
}

/** W + scaling·L·R, written down as it is defined. */
async function naive(
  base: TensorData,
  { rank, scaling, rows, columns, left, right, transposed }: LowRank,
): Promise<number[][]> {
  const [w, l, r] = [(await readTensor(base)).data, (await readTensor(left)).data, (await readTensor(right)).data];
  const at = (values: ArrayLike<number>, i: number, j: number, height: number, width: number) =>
    transposed ? values[j * height + i]! : values[i * width + j]!;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => {
      let sum = w[row * columns + column]!;
      for (let k = 0; k < rank; k++) sum += scaling * at(l, row, k, rows, rank) * at(r, k, column, rank, columns);
      return sum;
    }),
  );
}

const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
const roundedTo = (rows: readonly (readonly number[])[]) =>
  tensorOf('f32', [rows.length, rows[0]!.length], rows.flat()).data;
const expectClose = (ours: ArrayLike<number>, theirs: ArrayLike<number>) => {
  expect(ours.length).toBe(theirs.length);
  for (let i = 0; i < ours.length; i++)
    expect(Math.abs(ours[i]! - theirs[i]!)).toBeLessThanOrEqual(2 ** -22 * Math.max(1, Math.abs(theirs[i]!)));
};

describe('a merged weight', () => {
  test.each([false, true])(
    'is W + scaling·L·R, and DoRA its rows or columns made as long as their magnitudes (an embedding: %s)',
    async (transposed) => {
      const factors = factorsOf(13, 9, 5, transposed);
      const base = randomData([13, 9], 3);
      const sums = await naive(base, factors);
      expectClose((await readTensor(mergedLora(base, factors))).data, roundedTo(sums));
      if (transposed) {
        const magnitude = randomData([9], 4);
        const m = (await readTensor(magnitude)).data;
        const lengths = m.map((_, column) => norm(sums.map((row) => row[column]!)));
        expectClose(
          (await readTensor(mergedEmbeddingDora(base, factors, magnitude))).data,
          roundedTo(sums.map((row) => row.map((x, column) => (m[column]! * x) / lengths[column]!))),
        );
      } else {
        const magnitude = randomData([13], 4);
        const m = (await readTensor(magnitude)).data;
        expectClose(
          (await readTensor(mergedDora(base, factors, magnitude))).data,
          roundedTo(sums.map((row, i) => row.map((x) => (m[i]! * x) / norm(row)))),
        );
      }
    },
  );

  test('gives any range of its bytes as the whole has it, in chunks that are small enough and its own', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          rows: fc.integer({ min: 1, max: 12 }),
          columns: fc.integer({ min: 1, max: 9 }),
          rank: fc.integer({ min: 1, max: 6 }),
          kind: fc.constantFrom('lora', 'embedding', 'dora', 'embedding dora', 'bf16'),
        }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 8, max: 600 }),
        async ({ rows, columns, rank, kind }, a, b, maxBytes) => {
          const transposed = kind.startsWith('embedding');
          const factors = factorsOf(rows, columns, rank, transposed);
          const plain = randomData([rows, columns], 5);
          const base = kind === 'bf16' ? castData(plain, 'bf16') : plain;
          const merged =
            kind === 'dora'
              ? mergedDora(base, factors, randomData([rows], 6))
              : kind === 'embedding dora'
                ? mergedEmbeddingDora(base, factors, randomData([columns], 6))
                : mergedLora(base, factors);
          expect(merged).toMatchObject({ dtype: 'f32', shape: [rows, columns], byteLength: 4 * rows * columns });
          const whole = await readBytes(merged);
          const [begin, end] = [a, b].map((n) => 4 * (n % (rows * columns + 1))).toSorted((x, y) => x - y) as [
            number,
            number,
          ];
          const buffers = new Set<ArrayBufferLike>();
          let at = begin;
          for await (const chunk of merged.chunks({ begin, end, maxBytes })) {
            expect(chunk.byteLength).toBeLessThanOrEqual(maxBytes);
            expect(chunk.byteLength % 4).toBe(0);
            expect(buffers.has(chunk.buffer)).toBe(false);
            buffers.add(chunk.buffer);
            expect(Buffer.compare(chunk, whole.subarray(at, at + chunk.byteLength))).toBe(0);
            at += chunk.byteLength;
          }
          expect(at).toBe(end);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('can be transposed, cut and cast as any other', async () => {
    const factors = factorsOf(6, 8, 3, false);
    const merged = mergedLora(randomData([6, 8], 7), factors);
    const { data } = await readTensor(merged);
    const turned = await readTensor(transposeData(merged, [1, 0]));
    expect([...turned.data]).toEqual(Array.from({ length: 48 }, (_, i) => data[(i % 6) * 8 + Math.floor(i / 6)]!));
    expect([...(await readTensor(sliceRows(merged, 2, 5))).data]).toEqual([...data.subarray(16, 40)]);
    expect([...(await readTensor(selectRow(merged, 4))).data]).toEqual([...data.subarray(32, 40)]);
    expect([...(await readTensor(castData(merged, 'f16'))).data]).toEqual([...tensorOf('f16', [48], data).data]);
  });

  test('can be merged into again: changes add up', async () => {
    const first = factorsOf(5, 7, 2, false);
    const second = { ...factorsOf(5, 7, 3, true), scaling: 2 };
    const base = randomData([5, 7], 8);
    const once = await naive(base, first);
    expectClose(
      (await readTensor(mergedLora(mergedLora(base, first), second))).data,
      roundedTo(await naive(tensorData(tensorOf('f32', [5, 7], once.flat())), second)),
    );
  });

  test('of a row without direction stays zero', async () => {
    const factors = { ...factorsOf(3, 4, 2, false), scaling: 0 };
    const base = tensorData(tensorOf('f32', [3, 4], [1, 2, 3, 4, 0, 0, 0, 0, 3, 4, 0, 0]));
    const magnitude = tensorData(tensorOf('f32', [3], [1, 2, 10]));
    expect([...(await readTensor(mergedDora(base, factors, magnitude))).data.subarray(4)]).toEqual([
      0, 0, 0, 0, 6, 8, 0, 0,
    ]);
  });
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('reading', () => {
  /** A tensor that counts what is read of it, and holds nothing. */
  function counting(shape: readonly number[]): TensorData & { bytes: number; calls: number } {
    const byteLength = 4 * elementCount(shape);
    return {
      dtype: 'f32',
      shape,
      byteLength,
      bytes: 0,
      calls: 0,
      async *chunks(options) {
        const { begin, end, maxBytes } = readRange(byteLength, options);
        this.calls++;
        for (let at = begin; at < end; at += maxBytes) {
          const length = Math.min(maxBytes, end - at);
          this.bytes += length;
          yield new Uint8Array(length);
        }
      },
    };
  }

  test('takes each byte of the base once, under a transpose too, and a transposed base once', async () => {
    const base = counting([1000, 300]);
    const factors = factorsOf(1000, 300, 4, false);
    for await (const _ of mergedLora(base, factors).chunks({ maxBytes: 10_000 }));
    expect(base).toMatchObject({ bytes: base.byteLength, calls: 1 });
    for await (const _ of transposeData(mergedLora(base, factors), [1, 0]).chunks({ maxBytes: 10_000 }));
    expect(base).toMatchObject({ bytes: 2 * base.byteLength, calls: 2 });
    const turned = counting([300, 1000]);
    for await (const _ of mergedLora(transposeData(turned, [1, 0]), factors).chunks({ maxBytes: 10_000 }));
    expect(turned).toMatchObject({ bytes: turned.byteLength, calls: 1 });
  });

  test.each([
    ['LoRA', 4096, 4096, (base: TensorData) => mergedLora(base, factorsOf(4096, 4096, 8, false))],
    [
      'DoRA',
      4096,
      4096,
      (base: TensorData) => mergedDora(base, factorsOf(4096, 4096, 8, false), randomData([4096], 9)),
    ],
    [
      'an embedding',
      131_072,
      128,
      (base: TensorData) =>
        mergedLora(base, {
          ...factorsOf(131_072, 128, 8, true),
          left: randomData([8, 131_072], 1),
          right: randomData([128, 8], 2),
        }),
    ],
    [
      'an embedding’s DoRA',
      131_072,
      128,
      (base: TensorData) =>
        mergedEmbeddingDora(
          base,
          { ...factorsOf(131_072, 128, 8, true), left: randomData([8, 131_072], 1), right: randomData([128, 8], 2) },
          randomData([128], 9),
        ),
    ],
  ])('a weight of 64 MiB holds a few chunks of it: %s', async (_, rows, columns, merge) => {
    const base = counting([rows, columns]);
    const merged = merge(base);
    const held = () => {
      collect(); // else what nobody holds any more counts too; twice, since the first frees in the background
      collect();
      return process.memoryUsage().arrayBuffers;
    };
    const before = held();
    let most = 0;
    let at = 0;
    let chunks = 0;
    for await (const chunk of merged.chunks({ maxBytes: 1 << 20 })) {
      at += chunk.byteLength;
      if (++chunks % 8 === 0) most = Math.max(most, held() - before);
    }
    expect(at).toBe(64 * 2 ** 20);
    expect(chunks).toBe(64);
    expect(most).toBeLessThan(8 * 2 ** 20);
  });
});

describe('norms', () => {
  test('of factors are those of their product', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        async (rows, columns, rank, transposed) => {
          const factors = factorsOf(rows, columns, rank, transposed);
          const product = (
            await naive(tensorData(tensorOf('f32', [rows, columns], new Float32Array(rows * columns))), factors)
          ).flat();
          const size = norm(product);
          expect(Math.abs((await lowRankNorm(factors)) - size)).toBeLessThan(1e-6 * Math.max(1, size));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of a measured change, in one pass', async () => {
    const before = tensorData(tensorOf('f32', [2, 2], [3, 0, 0, 4]));
    const after = tensorData(tensorOf('f32', [2, 2], [3, 3, -4, 4]));
    expect(await measuredChange(before, after, true)).toEqual({ norm: 5, relative: 1 });
  });

  test('NaN and infinity of an adapter are refused', async () => {
    const good = factorsOf(3, 4, 2, false);
    for (const [side, shape] of [
      ['left', [3, 2]],
      ['right', [2, 4]],
    ] as const) {
      const values = new Float32Array(elementCount(shape)).fill(1);
      values[3] = side === 'left' ? NaN : Infinity;
      const bad = bytesData('f32', shape, new Uint8Array(values.buffer), {
        file: 'a.safetensors',
        key: 'x.lora_B.weight',
        byteOffset: 8,
      });
      await expect(lowRankNorm({ ...good, [side]: bad })).rejects.toMatchObject({
        code: 'adapter_not_finite',
        place: { file: 'a.safetensors', tensor: 'x.lora_B.weight' },
      });
    }
  });
});

test('a bias of lora_B is added with the scaling', async () => {
  const base = tensorData(tensorOf('f32', [3], [1, 2, 3]));
  expect([...(await readTensor(addedBias(base, tensorData(tensorOf('f32', [3], [2, 4, -8])), 0.5))).data]).toEqual([
    2, 4, -1,
  ]);
});

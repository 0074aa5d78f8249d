import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { sym } from '../dim.ts';
import type { DType } from '../dtypes/index.ts';
import { evaluateGraph } from '../evaluate.ts';
import { parseGraph } from '../parse.ts';
import { printGraph } from '../print.ts';
import { readTensor, tensorData, tensorOf, type Tensor, type TensorData } from '../tensor.ts';
import { affineFormat } from '../testing/affine_format.ts';
import { randomTensor } from '../testing/random.ts';
import { runOp, tensor, valuesOf } from '../testing/run_op.ts';
import { tensorType } from '../type.ts';
import { concatRows } from '../views/concat.ts';
import { dequantizedData } from '../views/dequantize.ts';
import { ops } from './index.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Codes over their whole range. */
function codes(dtype: DType, shape: readonly number[], seed = 1): Tensor {
  const [least, count] = ({ u4: [0, 16], i4: [-8, 16], u8: [0, 256], i8: [-128, 256] } as const)[
    dtype as 'u4' | 'i4' | 'u8' | 'i8'
  ];
  return tensorOf(
    dtype,
    shape,
    randomTensor('f32', shape, seed).data.map((x) => least + Math.floor(((x + 1) * count) / 2)),
  );
}

describe('dequantize', () => {
  test.each([
    ['u4', [0, 8, 15, 7], [-8, 0, 7, -1]],
    ['i4', [-8, 0, 7, -1], [-8, 0, 7, -1]],
    ['u8', [0, 128, 255, 127], [-128, 0, 127, -1]],
    ['i8', [-128, 0, 127, -1], [-128, 0, 127, -1]],
  ] as const)('%s without zero points counts from the middle', async (dtype, q, expected) => {
    expect(
      valuesOf(
        await runOp(ops.dequantize, [tensor(dtype, q, [1, 1, 4]), tensor('f32', [0.5], [1, 1])], {
          format: affineFormat(dtype),
          columns: 4,
        }),
      ),
    ).toEqual(expected.map((x) => x / 2));
  });

  test('each block has its own scale and zero point; what fills the last block up is dropped', async () => {
    const q = tensor('u4', [1, 2, 3, 4, 5, 6, 7, 15, 0, 0, 9, 15], [1, 3, 4]);
    const y = await runOp(ops.dequantize, [q, tensor('f32', [1, 10, 100], [1, 3]), tensor('u4', [1, 5, 0], [1, 3])], {
      format: 'int4',
      columns: 11,
    });
    expect(y.shape).toEqual([1, 11]);
    expect(valuesOf(y)).toEqual([0, 1, 2, 3, 0, 10, 20, 100, 0, 0, 900]);
  });

  test('zero points may be floats like the scales', async () => {
    const q = tensor('u4', [1, 2, 3, 4, 5, 6, 7, 15], [1, 2, 4]);
    const y = await runOp(ops.dequantize, [q, tensor('f32', [2, 10], [1, 2]), tensor('f32', [7.5, -0.25], [1, 2])], {
      format: 'int4',
      columns: 7,
    });
    expect(valuesOf(y)).toEqual([-13, -11, -9, -7, 52.5, 62.5, 72.5]);
    const half = await runOp(ops.dequantize, [q, tensor('f16', [2, 8], [1, 2]), tensor('f16', [7.5, -0.25], [1, 2])], {
      format: 'int4',
      columns: 8,
    });
    expect(valuesOf(half)).toEqual([-13, -11, -9, -7, 42, 50, 58, 122]);
  });

  test('f16 results are rounded once: 3 · 0.1 in f16', async () => {
    const scale = tensor('f16', [0.1], [1, 1]);
    const y = await runOp(ops.dequantize, [tensor('i8', [3, 0], [1, 1, 2]), scale], { format: 'int8', columns: 2 });
    expect(y.dtype).toBe('f16');
    expect(valuesOf(y)).toEqual(valuesOf(tensor('f16', [3 * scale.data[0]!, 0])));
  });

  test('what does not fit is refused', async () => {
    const q = tensor('u4', range(8), [1, 2, 4]);
    const scales = tensor('f32', [1, 1], [1, 2]);
    await expect(
      runOp(ops.dequantize, [tensor('i32', range(8), [1, 2, 4]), scales], { format: 'int4', columns: 8 }),
    ).rejects.toThrow('dequantize of i32[1, 2, 4], f32[1, 2]');
    await expect(
      runOp(ops.dequantize, [q, tensor('f32', [1], [1, 1])], { format: 'int4', columns: 8 }),
    ).rejects.toThrow('dequantize of u4[1, 2, 4], f32[1, 1]');
    await expect(
      runOp(ops.dequantize, [q, scales, tensor('u8', [1, 1], [1, 2])], { format: 'int4', columns: 8 }),
    ).rejects.toThrow('u8[1, 2]');
    await expect(
      runOp(ops.dequantize, [q, scales, tensor('f16', [1, 1], [1, 2])], { format: 'int4', columns: 8 }),
    ).rejects.toThrow('f16[1, 2]');
    await expect(runOp(ops.dequantize, [q, scales], { format: 'int4', columns: 4 })).rejects.toThrow(
      'to 4 columns: 2 blocks of 4',
    );
    await expect(runOp(ops.dequantize, [q, scales], { format: 'int4', columns: 9 })).rejects.toThrow(
      'to 9 columns: 2 blocks of 4',
    );
    await expect(
      runOp(ops.dequantize, [tensor('u4', range(6), [1, 2, 3]), scales], { format: 'int4', columns: 6 }),
    ).rejects.toThrow('a block ends within a byte');
  });
});

test.each(['u4', 'i8'] as const)(
  'quantized_linear of %s multiplies by the rows that its codes stand for',
  async (dtype) => {
    const [x, q, scales] = [randomTensor('f32', [2, 3, 7], 1), codes(dtype, [5, 2, 4]), randomTensor('f32', [5, 2], 2)];
    const zeros = codes(dtype, [5, 2], 3);
    const y = await runOp(ops.quantized_linear, [x, q, scales, zeros], { format: affineFormat(dtype), columns: 7 });
    expect(y.shape).toEqual([2, 3, 5]);
    const weight = (row: number, column: number) => {
      const block = row * 2 + Math.floor(column / 4);
      return (q.data[row * 8 + column]! - zeros.data[block]!) * scales.data[block]!;
    };
    const expected = range(6).flatMap((r) =>
      range(5).map((o) => range(7).reduce((sum, k) => sum + x.data[r * 7 + k]! * weight(o, k), 0)),
    );
    expect(Math.max(...expected.map((e, i) => Math.abs(e - y.data[i]!)))).toBeLessThan(1e-4);
  },
);

test('a product and a table with float zero points; printed, read again, and streamed, they compute the same', async () => {
  const [x, q, scales, zeros] = [
    randomTensor('f32', [2, 7], 1),
    codes('u4', [6, 2, 4]),
    randomTensor('f32', [6, 2], 2),
    randomTensor('f32', [6, 2], 3),
  ];
  const b = new GraphBuilder('g');
  const parts = { q: tensorData(q), scales: tensorData(scales), zeros: tensorData(zeros) };
  const [weight, ...factors] = Object.entries(parts).map(([name, data]) => b.weight(name, data));
  const ids = b.input('ids', tensorType('i64', [sym('n')]));
  b.output(
    'y',
    b.op(ops.quantized_linear, [b.input('x', tensorType('f32', [sym('m'), 7])), weight!, ...factors], {
      format: 'int4',
      columns: 7,
    }),
  );
  b.output('rows', b.op(ops.quantized_gather, [weight!, ids, ...factors], { format: 'int4', columns: 7 }));
  const graph = b.build();
  const inputs = { x, ids: tensor('i64', [5, 0, 3], [3]) };
  const { y, rows } = await evaluateGraph(graph, inputs, { streamBytes: 0 });
  const value = (row: number, column: number) =>
    (q.data[row * 8 + column]! - zeros.data[row * 2 + (column >> 2)]!) * scales.data[row * 2 + (column >> 2)]!;
  expect(valuesOf(rows!)).toEqual(
    [5, 0, 3].flatMap((row) => range(7).map((column) => Math.fround(value(row, column)))),
  );
  const expected = range(2).flatMap((r) =>
    range(6).map((o) => range(7).reduce((sum, k) => sum + x.data[r * 7 + k]! * value(o, k), 0)),
  );
  expect(Math.max(...expected.map((e, i) => Math.abs(e - y!.data[i]!)))).toBeLessThan(1e-4);
  const again = parseGraph(printGraph(graph), { weight: ({ name }) => parts[name as keyof typeof parts] });
  expect(printGraph(again)).toBe(printGraph(graph));
  expect(await evaluateGraph(again, inputs, { streamBytes: 0 })).toEqual({ y, rows });
});

test('quantized_gather takes rows of the table, any number of indices', async () => {
  const [q, scales, zeros] = [codes('u4', [6, 3, 2]), randomTensor('f16', [6, 3], 2), codes('u4', [6, 3], 3)];
  const table = await runOp(ops.dequantize, [q, scales, zeros], { format: 'int4', columns: 5 });
  for (const shape of [[2, 3], [4], [], [1, 0]]) {
    const ids = randomTensor('i64', shape, 4);
    const y = await runOp(ops.quantized_gather, [q, ids, scales, zeros], { format: 'int4', columns: 5 });
    expect(y.shape).toEqual([...shape, 5]);
    expect(valuesOf(y)).toEqual([...ids.data].flatMap((id) => [...table.data.subarray(id * 5, id * 5 + 5)]));
  }
});

test('codes of another rank are refused', async () => {
  const [x, q, scales] = [tensor('f32', range(4), [1, 4]), tensor('u4', range(4), [1, 4]), tensor('f32', [1], [1])];
  await expect(runOp(ops.quantized_linear, [x, q, scales], { format: 'int4', columns: 4 })).rejects.toThrow(
    'quantized_linear by u4[1, 4]',
  );
  await expect(
    runOp(ops.quantized_gather, [q, tensor('i64', [0]), scales], { format: 'int4', columns: 4 }),
  ).rejects.toThrow('quantized_gather from u4[1, 4]');
  await expect(
    runOp(ops.quantized_linear, [x, tensor('u4', range(4), [1, 1, 4]), tensor('f16', [1], [1, 1])], {
      format: 'int4',
      columns: 4,
    }),
  ).rejects.toThrow('linear of f32[1, 4], f16[1, 4]');
});

describe('weights that are too large to hold', () => {
  /** The largest piece that anyone asked for, and the bytes of all. */
  function watched(data: TensorData): { data: TensorData; reads: { largest: number; bytes: number } } {
    const reads = { largest: 0, bytes: 0 };
    return {
      reads,
      data: {
        ...data,
        async *chunks(options) {
          const size = (options?.end ?? data.byteLength) - (options?.begin ?? 0);
          reads.largest = Math.max(reads.largest, size);
          reads.bytes += size;
          yield* data.chunks(options);
        },
      },
    };
  }

  test('a product reads some blocks at a time, 4 MiB of weights, and is the same bit for bit', async () => {
    const part = tensorData(codes('u4', [2, 31_250, 64]));
    const { data, reads } = watched(concatRows([part, part, part]));
    const b = new GraphBuilder('g');
    const x = b.input('x', tensorType('f32', [1, 2_000_000]));
    const weights = [
      b.weight('q', data),
      b.weight('scales', tensorData(randomTensor('f32', [6, 31_250], 2))),
      b.weight('zeros', tensorData(codes('u4', [6, 31_250], 3))),
    ];
    b.output('y', b.op(ops.quantized_linear, [x, ...weights], { format: 'int4', columns: 2_000_000 }));
    const inputs = { x: randomTensor('f32', [1, 2_000_000], 4) };
    const streamed = await evaluateGraph(b.build(), inputs, { streamBytes: 0 });
    expect(reads.largest).toBe(2 ** 19);
    expect(await evaluateGraph(b.build(), inputs, { streamBytes: Infinity })).toEqual(streamed);
  });

  test('a table is not dequantized: only the rows that are taken are read', async () => {
    const { data, reads } = watched(tensorData(codes('u8', [100, 2, 8])));
    const b = new GraphBuilder('g');
    const ids = b.input('ids', tensorType('i64', [sym('n')]));
    b.output(
      'y',
      b.op(
        ops.quantized_gather,
        [b.weight('q', data), ids, b.weight('scales', tensorData(randomTensor('f32', [100, 2], 2)))],
        { format: 'int8', columns: 16 },
      ),
    );
    const inputs = { ids: tensor('i64', [99, 0, 99]) };
    const streamed = await evaluateGraph(b.build(), inputs, { streamBytes: 0 });
    expect(reads.bytes).toBe(2 * 16);
    expect(await evaluateGraph(b.build(), inputs)).toEqual(streamed);
  });

  test.each([
    ['u4', 3, 4, 10],
    ['u8', 5, 2, 9],
    ['u4', 1, 2, 2],
  ] as const)(
    'any range of %s in %d blocks of %d, %d columns, reads as the whole does',
    async (dtype, blocks, block, columns) => {
      const matrix = {
        format: affineFormat(dtype),
        q: tensorData(codes(dtype, [5, blocks, block])),
        scales: tensorData(randomTensor('f16', [5, blocks], 2)),
        zeros: tensorData(codes(dtype, [5, blocks], 3)),
      };
      const data = dequantizedData(matrix, [5, columns]);
      const whole: number[] = [];
      for await (const chunk of data.chunks()) whole.push(...chunk);
      expect(whole).toHaveLength(data.byteLength);
      for (const begin of range(data.byteLength / 2).map((i) => 2 * i))
        for (const end of [begin, begin + 2, data.byteLength - 2, data.byteLength].filter(
          (e) => e >= begin && e <= data.byteLength,
        )) {
          const read: number[] = [];
          for await (const chunk of data.chunks({ begin, end, maxBytes: 8 })) {
            expect(chunk.byteLength).toBeLessThanOrEqual(8);
            read.push(...chunk);
          }
          expect(read).toEqual(whole.slice(begin, end));
        }
      expect((await readTensor(data)).shape).toEqual([5, columns]);
    },
  );
});

import { describe, expect, test } from 'vitest';
import type { DType } from '../dtypes/index.ts';
import { runOp, tensor, valuesOf } from '../testing/run_op.ts';
import { cast } from './cast.ts';
import { ops } from './index.ts';

const { POSITIVE_INFINITY: inf } = Number;
const TINY = 2 ** -149;
/** Pairs in which both zeros, subnormals, infinities and NaN meet. */
const A = [1, -0, 0, TINY, inf, -inf, NaN, 3.5, 65504, 0];
const B = [2, 0, -0, TINY, -inf, 2, 1, -1, 65504, 0];

describe.each([
  ['add', (a: number, b: number) => a + b],
  ['sub', (a: number, b: number) => a - b],
  ['mul', (a: number, b: number) => a * b],
  ['div', (a: number, b: number) => a / b],
] as const)('%s', (name, f) => {
  test('f32: each result rounded once', async () => {
    const y = await runOp(ops[name], [tensor('f32', A), tensor('f32', B)], {});
    expect(valuesOf(y)).toEqual(A.map((a, i) => Math.fround(f(a, B[i]!))));
  });

  test('f16 overflows to Infinity', async () => {
    const y = await runOp(
      ops[name],
      [tensor('f16', [65504, 65504]), tensor('f16', [name === 'sub' ? -65504 : name === 'div' ? 2 ** -24 : 65504, 1])],
      {},
    );
    expect(y.data[0]).toBe(inf);
    expect(y.dtype).toBe('f16');
  });

  test('broadcasts rows, columns and scalars', async () => {
    const matrix = tensor('f32', [1, 2, 3, 4, 5, 6], [2, 3]);
    const column = tensor('f32', [10, 20], [2, 1]);
    expect(valuesOf(await runOp(ops[name], [matrix, column], {}))).toEqual(
      [1, 2, 3, 4, 5, 6].map((x, i) => Math.fround(f(x, i < 3 ? 10 : 20))),
    );
    expect(valuesOf(await runOp(ops[name], [tensor('f32', [7], []), tensor('f32', [1, 2, 3])], {}))).toEqual(
      [1, 2, 3].map((x) => Math.fround(f(7, x))),
    );
    const outer = await runOp(ops[name], [column, tensor('f32', [1, 2, 3])], {});
    expect(outer.shape).toEqual([2, 3]);
    expect(valuesOf(outer)).toEqual([10, 10, 10, 20, 20, 20].map((x, i) => Math.fround(f(x, 1 + (i % 3)))));
  });

  test('nothing broadcast is nothing', async () => {
    expect((await runOp(ops[name], [tensor('f32', [], [0, 3]), tensor('f32', [1, 2, 3])], {})).shape).toEqual([0, 3]);
  });
});

test('integers saturate', async () => {
  expect(valuesOf(await runOp(ops.add, [tensor('u8', [250, 3]), tensor('u8', [10, 4])], {}))).toEqual([255, 7]);
  expect(valuesOf(await runOp(ops.sub, [tensor('i64', [1]), tensor('i64', [5])], {}))).toEqual([-4]);
});

test('comparisons: NaN equals nothing and both zeros are equal', async () => {
  const [a, b] = [tensor('f32', [1, 2, NaN, NaN, -0, -inf]), tensor('f32', [1, 1, NaN, 1, 0, inf])];
  expect(valuesOf(await runOp(ops.equal, [a, b], {}))).toEqual([1, 0, 0, 0, 1, 0]);
  expect(valuesOf(await runOp(ops.less_equal, [a, b], {}))).toEqual([1, 0, 0, 0, 1, 1]);
  expect((await runOp(ops.equal, [tensor('i64', [1]), tensor('i64', [1])], {})).dtype).toBe('bool');
});

test('logic', async () => {
  const [a, b] = [tensor('bool', [0, 0, 1, 1]), tensor('bool', [0, 1, 0, 1])];
  expect(valuesOf(await runOp(ops.and, [a, b], {}))).toEqual([0, 0, 0, 1]);
  expect(valuesOf(await runOp(ops.or, [a, b], {}))).toEqual([0, 1, 1, 1]);
  expect(valuesOf(await runOp(ops.not, [a], {}))).toEqual([1, 1, 0, 0]);
});

test('where takes the chosen side only: a NaN on the other does not leak', async () => {
  const y = await runOp(ops.where, [tensor('bool', [1, 0]), tensor('f32', [1], [1]), tensor('f32', [NaN, 2])], {});
  expect(valuesOf(y)).toEqual([1, 2]);
});

test('sqrt and tanh at the edges', async () => {
  expect(valuesOf(await runOp(ops.sqrt, [tensor('f32', [4, 0, -0, -1, inf, NaN])], {}))).toEqual([
    2,
    0,
    -0,
    NaN,
    inf,
    NaN,
  ]);
  expect(valuesOf(await runOp(ops.tanh, [tensor('f32', [0, -0, inf, -inf, NaN, TINY, 100])], {}))).toEqual([
    0,
    -0,
    1,
    -1,
    NaN,
    TINY,
    1,
  ]);
});

test('erf against the C library (math.erf of Python 3)', () => {
  const values: readonly (readonly [number, number])[] = [
    [1e-9, 1.1283791670955127e-9],
    [0.02, 0.022564574691844943],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.4999, 0.9995928300996666], // on both sides of where the series ends
    [2.5001, 0.9995932657565293],
    [3, 0.9999779095030014],
    [5.9, 0.9999999999999999],
  ];
  for (const [x, y] of values) {
    const [raw] = ops.erf.evaluate([{ dtype: 'f32', shape: [2], data: Float64Array.of(x, -x) }], {}, new Map());
    expect(raw!.data[0]).toBeCloseTo(y, 14);
    expect(raw!.data[1]).toBeCloseTo(-y, 14);
  }
});

test('erf at the edges', async () => {
  expect(valuesOf(await runOp(ops.erf, [tensor('f32', [0, -0, inf, -inf, NaN, 100])], {}))).toEqual([
    0,
    -0,
    1,
    -1,
    NaN,
    1,
  ]);
});

test.each<[DType, readonly number[]]>([
  ['i64', [1, -1, 0, 2, 0]],
  ['u8', [1, 0, 0, 2, 0]],
  ['bool', [1, 1, 1, 1, 1]],
  ['f16', [1.900390625, -1.900390625, 0.5, 2.5, NaN]],
])('cast to %s', async (to, expected) => {
  expect(valuesOf(await runOp(cast, [tensor('f32', [1.9, -1.9, 0.5, 2.5, NaN])], { to }))).toEqual(expected);
});

test('one dtype for all, and a fitting one', async () => {
  await expect(runOp(ops.add, [tensor('f32', [1]), tensor('f16', [1])], {})).rejects.toThrow(
    'add of f32[1], f16[1]: one fitting dtype for all',
  );
  await expect(runOp(ops.add, [tensor('bool', [1]), tensor('bool', [1])], {})).rejects.toThrow('one fitting dtype');
  await expect(runOp(ops.div, [tensor('i64', [1]), tensor('i64', [1])], {})).rejects.toThrow('one fitting dtype');
  await expect(runOp(ops.and, [tensor('i64', [1]), tensor('i64', [1])], {})).rejects.toThrow('one fitting dtype');
  await expect(runOp(ops.add, [tensor('f32', [1, 2]), tensor('f32', [1, 2, 3])], {})).rejects.toThrow(
    '[2] and [3] do not broadcast',
  );
});

import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { addDims, sym } from '../dim.ts';
import { evaluateGraph } from '../evaluate.ts';
import { runOp, tensor, valuesOf } from '../testing/run_op.ts';
import { typeOf } from '../testing/type_of.ts';
import { tensorType } from '../type.ts';
import { ops } from './index.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const cube = tensor('f32', range(24), [2, 3, 4]);

test.each([
  [[0, 1, 2], (a: number, b: number, c: number) => 12 * a + 4 * b + c],
  [[2, 0, 1], (c: number, a: number, b: number) => 12 * a + 4 * b + c],
  [[1, 2, 0], (b: number, c: number, a: number) => 12 * a + 4 * b + c],
  [[0, 2, 1], (a: number, c: number, b: number) => 12 * a + 4 * b + c],
])('transpose by %j', async (perm, at) => {
  const { shape, data } = await runOp(ops.transpose, [cube], { perm });
  expect(shape).toEqual(perm.map((axis) => [2, 3, 4][axis]));
  const [n0, n1, n2] = shape as [number, number, number];
  const expected = range(n0).flatMap((i) => range(n1).flatMap((j) => range(n2).map((k) => at(i, j, k))));
  expect([...data]).toEqual(expected);
});

test('reshape keeps C order', async () => {
  const y = await runOp(ops.reshape, [cube], { shape: [6, 4] });
  expect(y.shape).toEqual([6, 4]);
  expect(valuesOf(y)).toEqual(range(24));
  await expect(runOp(ops.reshape, [cube], { shape: [5, 5] })).rejects.toThrow(
    'reshape of f32[2, 3, 4] to [5, 5]: sizes differ',
  );
});

test('slice along each axis, down to nothing', async () => {
  expect(valuesOf(await runOp(ops.slice, [cube], { axis: 0, begin: 1, end: 2 }))).toEqual(range(24).slice(12));
  expect(valuesOf(await runOp(ops.slice, [cube], { axis: 2, begin: 1, end: 3 }))).toEqual(
    range(24).filter((i) => i % 4 === 1 || i % 4 === 2),
  );
  expect((await runOp(ops.slice, [cube], { axis: 1, begin: 3, end: 3 })).shape).toEqual([2, 0, 4]);
  await expect(runOp(ops.slice, [cube], { axis: 1, begin: 2, end: 4 })).rejects.toThrow('2..4 along 1');
});

test('concat along each axis, with an empty operand', async () => {
  const row = tensor('f32', [90, 91, 92], [1, 3]);
  const pair = tensor('f32', [1, 2, 3, 4, 5, 6], [2, 3]);
  expect(valuesOf(await runOp(ops.concat, [pair, row], { axis: 0 }))).toEqual([1, 2, 3, 4, 5, 6, 90, 91, 92]);
  const wide = await runOp(ops.concat, [tensor('f32', [7, 8], [2, 1]), pair, tensor('f32', [], [2, 0])], { axis: 1 });
  expect(wide.shape).toEqual([2, 4]);
  expect(valuesOf(wide)).toEqual([7, 1, 2, 3, 8, 4, 5, 6]);
  await expect(runOp(ops.concat, [pair, row], { axis: 1 })).rejects.toThrow('concat of f32[2, 3], f32[1, 3] along 1');
});

test.each([
  [['f32[2, 3]', 'f16[2, 3]'], 0],
  [['f32[2, 3]', 'f32[2, 3, 1]'], 0],
  [['f32[2, 3, 1]', 'f32[2, 3]'], 0],
  [['f32[2, 3]', 'f32[2, 3]'], -1],
  [['f32[2, 3]', 'f32[2, 3]'], 2],
  [['f32[]', 'f32[]'], 0],
])('concat of %j along %d is refused', (types, axis) => {
  expect(() => ops.concat.infer(types.map(typeOf), { axis })).toThrow(`concat of ${types.join(', ')} along ${axis}`);
});

test.each([
  ['f32[1, 2, 3, 4]', 'f16[1, 5, 2, 4]'],
  ['f32[1, 2, 3, 4]', 'f32[2, 5, 2, 4]'],
  ['f32[1, 2, 3, 4]', 'f32[1, 5, 3, 4]'],
  ['f32[1, 2, 3, 4]', 'f32[1, 5, 2, 5]'],
  ['f32[1, 2, 3, 4]', 'f32[1, 5, 2]'],
  ['f32[1, 2, 3]', 'f32[1, 5, 2, 4]'],
  ['f32[1, 2, 3, 4, 1]', 'f32[1, 5, 2, 4]'],
  ['f32[1, 2, 3, 4]', 'f32[1, 5, 2, 4, 1]'],
])('append_cache of another shape is refused: %s, %s', (cache, x) => {
  expect(() => ops.append_cache.infer([cache, x].map(typeOf), {})).toThrow(`append_cache of ${x} to ${cache}`);
});

test('append_cache puts positions behind those that there are', async () => {
  const [cache, x] = [tensor('f32', range(8), [1, 2, 2, 2]), tensor('f32', [90, 91, 92, 93], [1, 1, 2, 2])];
  const joined = await runOp(ops.append_cache, [cache, x], {});
  expect(joined.shape).toEqual([1, 2, 3, 2]);
  expect(valuesOf(joined)).toEqual([0, 1, 2, 3, 90, 91, 4, 5, 6, 7, 92, 93]);
});

test('expand to sizes that are known when it runs', async () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', tensorType('f32', [sym('n'), 1]));
  b.output('y', b.op(ops.expand, [x], { shape: [2, sym('n'), addDims(sym('n'), 1)] }));
  const { y } = await evaluateGraph(b.build(), { x: tensor('f32', [7, 8], [2, 1]) });
  expect(y!.shape).toEqual([2, 2, 3]);
  expect(valuesOf(y!)).toEqual([7, 7, 7, 8, 8, 8, 7, 7, 7, 8, 8, 8]);
});

test('expand repeats axes of size 1 and adds leading ones', async () => {
  const y = await runOp(ops.expand, [tensor('f32', [1, 2], [2, 1])], { shape: [3, 2, 2] });
  expect(valuesOf(y)).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2]);
  await expect(runOp(ops.expand, [tensor('f32', [1, 2])], { shape: [3] })).rejects.toThrow('do not broadcast');
  await expect(runOp(ops.expand, [tensor('f32', [1, 2])], { shape: [1] })).rejects.toThrow('expand of f32[2] to [1]');
});

describe('take_last', () => {
  const count = (n: number) => tensor('i64', [n], []);
  const kept = { terms: [['kept', 1]], offset: 0 } as const;
  test.each([
    [1, [8, 9, 10, 11, 20, 21, 22, 23]],
    [0, range(24)],
    [99, range(24)],
  ])('%d', async (n, expected) => {
    expect(valuesOf(await runOp(ops.take_last, [cube, count(n)], { axis: 1, kept }))).toEqual(expected);
  });
  test('a negative count is refused', async () => {
    await expect(runOp(ops.take_last, [cube, count(-1)], { axis: 1, kept })).rejects.toThrow(
      'take_last: a count of -1',
    );
  });
  test('kept must be one symbol', async () => {
    await expect(runOp(ops.take_last, [cube, count(1)], { axis: 1, kept: 1 })).rejects.toThrow(
      '`kept` must be one symbol',
    );
    await expect(
      runOp(ops.take_last, [cube, count(1)], { axis: 1, kept: { terms: [['kept', 2]], offset: 0 } }),
    ).rejects.toThrow('`kept` must be one symbol');
  });
});

describe('gather', () => {
  const table = tensor('f16', range(12), [4, 3]);
  test('rows in any order, repeated, in the shape of the indices', async () => {
    const y = await runOp(ops.gather, [table, tensor('i64', [3, 0, 3, 1], [2, 2])], {});
    expect(y).toMatchObject({ dtype: 'f16', shape: [2, 2, 3] });
    expect(valuesOf(y)).toEqual([9, 10, 11, 0, 1, 2, 9, 10, 11, 3, 4, 5]);
  });
  test.each([4, -1])('index %d is refused by number', async (id) => {
    await expect(runOp(ops.gather, [table, tensor('i64', [0, id])], {})).rejects.toThrow(
      `gather: index ${id} of a table of 4 rows`,
    );
  });
  test('indices are integers', async () => {
    await expect(runOp(ops.gather, [table, tensor('f32', [0])], {})).rejects.toThrow('gather of f16[4, 3] at f32[1]');
  });
});

test('iota and dim_value', async () => {
  expect(valuesOf(await runOp(ops.iota, [], { length: 4 }))).toEqual([0, 1, 2, 3]);
  expect((await runOp(ops.iota, [], { length: 0 })).shape).toEqual([0]);
  expect(await runOp(ops.dim_value, [], { dim: 7 })).toMatchObject({
    dtype: 'i64',
    shape: [],
    data: Float64Array.of(7),
  });
});

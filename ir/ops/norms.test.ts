import { describe, expect, it, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { evaluateGraph } from '../evaluate.ts';
import { randomTensor } from '../testing/random.ts';
import { firstDifference, runOp, tensor, valuesOf } from '../testing/run_op.ts';
import { typeOf } from '../testing/type_of.ts';
import { ops } from './index.ts';

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Rows of random numbers, of one value, of zeros and of subnormals. */
const ROWS = [[...randomTensor('f32', [4], 5).data], [3, 3, 3, 3], [0, -0, 0, 0], [1e-42, -1e-42, 0, 1e-42]];
const x = tensor('f32', ROWS.flat(), [4, 4]);
const scale = randomTensor('f32', [4], 6);
const bias = randomTensor('f32', [4], 7);

test('rms_norm', async () => {
  const expected = ROWS.flatMap((row) =>
    row.map((v, i) => (v / Math.sqrt(mean(row.map((w) => w * w)) + 1e-6)) * scale.data[i]!),
  );
  expect(firstDifference(await runOp(ops.rms_norm, [x, scale], { epsilon: 1e-6 }), expected, 1e-6)).toBe(-1);
});

test('add_rms_norm gives the norm of the sum, and the sum', async () => {
  const y = randomTensor('f32', [4, 4], 8);
  const b = new GraphBuilder('g');
  const [normed, sum] = b.node(
    ops.add_rms_norm,
    [
      b.input('x', { dtype: 'f32', shape: [4, 4] }),
      b.input('y', { dtype: 'f32', shape: [4, 4] }),
      b.input('scale', { dtype: 'f32', shape: [4] }),
    ],
    { epsilon: 1e-6 },
  );
  b.output('normed', normed!);
  b.output('sum', sum!);
  const results = await evaluateGraph(b.build(), { x, y, scale });
  const sums = ROWS.flat().map((v, i) => Math.fround(v + y.data[i]!));
  expect(valuesOf(results['sum']!)).toEqual(sums);
  const rows = [0, 4, 8, 12].map((at) => sums.slice(at, at + 4));
  const expected = rows.flatMap((row) =>
    row.map((v, i) => (v / Math.sqrt(mean(row.map((w) => w * w)) + 1e-6)) * scale.data[i]!),
  );
  expect(firstDifference(results['normed']!, expected, 1e-6)).toBe(-1);
  expect(() =>
    ops.add_rms_norm.infer(
      [
        { dtype: 'f32', shape: [4, 4] },
        { dtype: 'f32', shape: [4] },
        { dtype: 'f32', shape: [4] },
      ],
      { epsilon: 0 },
    ),
  ).toThrow('add_rms_norm of f32[4, 4] and f32[4]');
});

test('layer_norm', async () => {
  const expected = ROWS.flatMap((row) => {
    const variance = mean(row.map((v) => (v - mean(row)) ** 2));
    return row.map((v, i) => ((v - mean(row)) / Math.sqrt(variance + 1e-6)) * scale.data[i]! + bias.data[i]!);
  });
  expect(firstDifference(await runOp(ops.layer_norm, [x, scale, bias], { epsilon: 1e-6 }), expected, 1e-5)).toBe(-1);
});

test('rms_norm in f16 overflows where x² does: why the cast keeps it in f32', async () => {
  expect(
    valuesOf(await runOp(ops.rms_norm, [tensor('f16', [300], [1]), tensor('f16', [1])], { epsilon: 1e-6 })),
  ).toEqual([0]);
});

test('reduce_mean keeps the axis', async () => {
  const y = await runOp(ops.reduce_mean, [tensor('f32', [1, 2, 3, -1, -2, NaN], [2, 3])], {});
  expect(y.shape).toEqual([2, 1]);
  expect(valuesOf(y)).toEqual([2, NaN]);
});

describe('softmax', () => {
  const softmax = async (values: readonly number[]) =>
    valuesOf(await runOp(ops.softmax, [tensor('f32', values, [1, values.length])], {}));
  test('sums to 1 and keeps the order', async () => {
    const y = await softmax([1, 2, 3]);
    const total = Math.exp(1) + Math.exp(2) + Math.exp(3);
    expect(y).toEqual([1, 2, 3].map((v) => Math.fround(Math.exp(v) / total)));
  });
  test.each<[string, readonly number[], readonly number[]]>([
    ['one entry', [-5], [1]],
    ['large values do not overflow', [3e38, 3e38], [0.5, 0.5]],
    ['-Infinity is left out', [-Infinity, 0], [0, 1]],
    ['all the lowest finite value: even', [-3.4e38, -3.4e38, -3.4e38, -3.4e38], [0.25, 0.25, 0.25, 0.25]],
    ['all -Infinity has no answer', [-Infinity, -Infinity], [NaN, NaN]],
    ['NaN spreads over its row', [NaN, 1], [NaN, NaN]],
  ])('%s', async (_, values, expected) => {
    expect(await softmax(values)).toEqual(expected);
  });
  test('of no entries', async () => {
    expect((await runOp(ops.softmax, [tensor('f32', [], [3, 0])], {})).shape).toEqual([3, 0]);
  });
});

describe.each(['gelu_tanh', 'gelu_erf'] as const)('%s', (name) => {
  test('the edges: 0 below, x above, in f16 too, where x³ overflows', async () => {
    for (const dtype of ['f32', 'f16'] as const)
      expect(valuesOf(await runOp(ops[name], [tensor(dtype, [-0, 0, 60000, -60000, Infinity, NaN])], {}))).toEqual([
        -0,
        0,
        60000,
        -0,
        Infinity,
        NaN,
      ]);
  });
});

describe('refused', () => {
  it.each([
    ['f32[2, 4]', 'f32[4]', 'f32[3]'],
    ['f32[2, 4]', 'f32[3]', 'f32[4]'],
    ['f32[2, 4]', 'f32[2, 4]', 'f32[4]'],
    ['f32[2, 4]', 'f32[4, 4]', 'f32[4]'],
    ['f32[2, 4]', 'f32[4]', 'f32[4, 4]'],
    ['f32[2, 4]', 'f16[4]', 'f32[4]'],
    ['f32[2, 4]', 'f32[4]', 'f16[4]'],
    ['i32[2, 4]', 'i32[4]', 'i32[4]'],
    ['f32[]', 'f32[4]', 'f32[4]'],
  ])('layer_norm of %s, %s, %s', (...operands) =>
    expect(() => ops.layer_norm.infer(operands.map(typeOf), { epsilon: 0 })).toThrow(
      `layer_norm of ${operands.join(', ')}`,
    ),
  );

  it.each([
    ['f32[2, 4]', 'f32[3]'],
    ['f32[2, 4]', 'f16[4]'],
    ['f32[2, 4]', 'f32[1, 4]'],
    ['f32[2, 4]', 'f32[4, 4]'],
    ['i32[2, 4]', 'i32[4]'],
    ['f32[]', 'f32[4]'],
  ])('rms_norm of %s, %s', (...operands) =>
    expect(() => ops.rms_norm.infer(operands.map(typeOf), { epsilon: 0 })).toThrow('rms_norm of'),
  );

  it.each([
    ['f32[1, 2, 3]', 'i64[1, 2]', 'f32[9, 2]', 'f32[9, 2]'],
    ['f32[1, 2, 3, 5]', 'i64[1, 2]', 'f32[9, 2]', 'f32[9, 2]'],
    ['i32[1, 2, 3, 4]', 'i64[1, 2]', 'i32[9, 2]', 'i32[9, 2]'],
    ['f32[1, 2, 3, 4]', 'i32[1, 2]', 'f32[9, 2]', 'f32[9, 2]'],
    ['f32[1, 2, 3, 4]', 'i64[1, 3]', 'f32[9, 2]', 'f32[9, 2]'],
    ['f32[1, 2, 3, 4]', 'i64[1, 2]', 'f32[9, 4]', 'f32[9, 2]'],
    ['f32[1, 2, 3, 4]', 'i64[1, 2]', 'f32[9, 2]', 'f32[9, 4]'],
    ['f32[1, 2, 3, 4]', 'i64[1, 2]', 'f16[9, 2]', 'f32[9, 2]'],
    ['f32[1, 2, 3, 4]', 'i64[1, 2]', 'f32[9, 2]', 'f32[2]'],
  ])('rope of %s, %s, %s, %s', (...operands) =>
    expect(() => ops.rope.infer(operands.map(typeOf), {})).toThrow(`rope of ${operands.join(', ')}`),
  );
});

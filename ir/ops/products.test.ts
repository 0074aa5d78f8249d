import { expect, test } from 'vitest';
import { randomTensor } from '../testing/random.ts';
import { firstDifference, runOp, tensor, valuesOf } from '../testing/run_op.ts';
import { tensorData, type Tensor } from '../tensor.ts';
import { ops } from './index.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

function at({ shape, data }: Tensor, ...index: readonly number[]): number {
  return data[index.reduce((flat, i, axis) => flat * shape[axis]! + i, 0)]!;
}

test.each([1, 3])('linear of %d rows', async (rows) => {
  const [x, w, b] = [randomTensor('f32', [2, rows, 5], 1), randomTensor('f32', [4, 5], 2), randomTensor('f32', [4], 3)];
  const expected = range(2).flatMap((n) =>
    range(rows).flatMap((r) => range(4).map((o) => at(b, o) + sum(range(5).map((i) => at(x, n, r, i) * at(w, o, i))))),
  );
  const y = await runOp(ops.linear, [x, w, b], {});
  expect(y.shape).toEqual([2, rows, 4]);
  expect(firstDifference(y, expected, 1e-6)).toBe(-1);
  const plain = await runOp(ops.linear, [x, w], {});
  expect(
    firstDifference(
      plain,
      expected.map((v, i) => v - at(b, i % 4)),
      1e-6,
    ),
  ).toBe(-1);
});

/** The evaluator sums columns by fours and rows by twos: what is left over is summed as well. */
test.each(range(4).flatMap((rows) => [1, 2, 3, 4, 5, 7, 8, 11].map((columns) => [rows + 1, columns] as const)))(
  'linear of %d rows and %d columns, at once and streamed',
  async (rows, columns) => {
    const [x, w, bias] = [[rows, 6], [columns, 6], [columns]].map((shape, i) => randomTensor('f32', shape, i)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const expected = range(rows).flatMap((r) =>
      range(columns).map((o) => at(bias, o) + sum(range(6).map((i) => at(x, r, i) * at(w, o, i)))),
    );
    expect(firstDifference(await runOp(ops.linear, [x, w, bias], {}), expected, 1e-6)).toBe(-1);
    const [streamed] = await ops.linear.evaluateStreamed!([x, bias], tensorData(w), {});
    expect(expected.findIndex((value, i) => Math.abs(value - streamed!.data[i]!) > 1e-6)).toBe(-1);
  },
);

test('f16 sums without rounding on the way: 2048 + 1 + 1 is 2050, not 2048', async () => {
  expect(
    valuesOf(await runOp(ops.linear, [tensor('f16', [1, 1, 1], [1, 3]), tensor('f16', [2048, 1, 1], [1, 3])], {})),
  ).toEqual([2050]);
  expect(
    valuesOf(await runOp(ops.matmul, [tensor('f16', [1, 1, 1], [1, 3]), tensor('f16', [2048, 1, 1], [3, 1])], {})),
  ).toEqual([2050]);
});

test('an f16 product beyond 65504 is Infinity, and NaN spreads', async () => {
  const y = await runOp(
    ops.linear,
    [tensor('f16', [300, 300, Number.NaN, 0], [2, 2]), tensor('f16', [300, 0], [1, 2])],
    {},
  );
  expect(valuesOf(y)).toEqual([Infinity, Number.NaN]);
});

test('matmul broadcasts its leading axes', async () => {
  const [a, b] = [randomTensor('f32', [2, 1, 3, 4], 1), randomTensor('f32', [5, 4, 2], 2)];
  const y = await runOp(ops.matmul, [a, b], {});
  expect(y.shape).toEqual([2, 5, 3, 2]);
  const expected = range(2).flatMap((n) =>
    range(5).flatMap((m) =>
      range(3).flatMap((i) => range(2).map((j) => sum(range(4).map((k) => at(a, n, 0, i, k) * at(b, m, k, j))))),
    ),
  );
  expect(firstDifference(y, expected, 1e-6)).toBe(-1);
});

test('a product over nothing is 0', async () => {
  expect(valuesOf(await runOp(ops.matmul, [tensor('f32', [], [2, 0]), tensor('f32', [], [0, 2])], {}))).toEqual([
    0, 0, 0, 0,
  ]);
});

test.each([
  [2, 2, [2, 2], [0, 0]],
  [3, 2, [2, 1], [0, 0]],
  [4, 5, [1, 1], [0, 0]],
  [3, 3, [1, 1], [1, 1]],
  [2, 4, [2, 3], [0, 2]],
])('conv2d with a kernel of %d by %d, strides %j, padding %j', async (kh, kw, strides, padding) => {
  const [x, w, b] = [
    randomTensor('f32', [2, 3, 5, 5], 1),
    randomTensor('f32', [4, 3, kh, kw], 2),
    randomTensor('f32', [4], 3),
  ];
  const [sh, sw] = strides as [number, number];
  const [ph, pw] = padding as [number, number];
  const [rows, columns] = [Math.floor((5 + 2 * ph - kh) / sh) + 1, Math.floor((5 + 2 * pw - kw) / sw) + 1];
  const y = await runOp(ops.conv2d, [x, w, b], { strides, padding });
  expect(y.shape).toEqual([2, 4, rows, columns]);
  const pixel = (n: number, ch: number, r: number, c: number) =>
    r in range(5) && c in range(5) ? at(x, n, ch, r, c) : 0;
  const one = (n: number, o: number, r: number, c: number) =>
    at(b, o) +
    sum(
      range(3).flatMap((ch) =>
        range(kh).flatMap((i) =>
          range(kw).map((j) => pixel(n, ch, r * sh + i - ph, c * sw + j - pw) * at(w, o, ch, i, j)),
        ),
      ),
    );
  const expected = range(2).flatMap((n) =>
    range(4).flatMap((o) => range(rows).flatMap((r) => range(columns).map((c) => one(n, o, r, c)))),
  );
  expect(firstDifference(y, expected, 1e-6)).toBe(-1);
});

test.each([
  [4, 4, [2, 2], [1, 1]],
  [3, 2, [1, 3], [0, 0]],
  [2, 5, [3, 1], [0, 2]],
])('conv_transpose2d with a kernel of %d by %d, strides %j, padding %j', async (kh, kw, strides, padding) => {
  const [x, w, b] = [
    randomTensor('f32', [2, 3, 4, 3], 1),
    randomTensor('f32', [3, 2, kh, kw], 2),
    randomTensor('f32', [2], 3),
  ];
  const [sh, sw] = strides as [number, number];
  const [ph, pw] = padding as [number, number];
  const [rows, columns] = [3 * sh + kh - 2 * ph, 2 * sw + kw - 2 * pw];
  const y = await runOp(ops.conv_transpose2d, [x, w, b], { strides, padding });
  expect(y.shape).toEqual([2, 2, rows, columns]);
  // what each element of the result takes, from its own side
  const one = (n: number, o: number, r: number, c: number) =>
    at(b, o) +
    sum(
      range(3).flatMap((ch) =>
        range(4).flatMap((i) =>
          range(3).map((j) => {
            const [down, right] = [r + ph - i * sh, c + pw - j * sw];
            return down in range(kh) && right in range(kw) ? at(x, n, ch, i, j) * at(w, ch, o, down, right) : 0;
          }),
        ),
      ),
    );
  const expected = range(2).flatMap((n) =>
    range(2).flatMap((o) => range(rows).flatMap((r) => range(columns).map((c) => one(n, o, r, c)))),
  );
  expect(firstDifference(y, expected, 1e-6)).toBe(-1);
});

test('what does not fit is refused', async () => {
  await expect(
    runOp(ops.linear, [tensor('f32', [1, 2], [1, 2]), tensor('f32', [1, 2, 3], [1, 3])], {}),
  ).rejects.toThrow('linear of f32[1, 2], f32[1, 3]');
  await expect(runOp(ops.linear, [tensor('f16', [1, 2], [1, 2]), tensor('f32', [1, 2], [1, 2])], {})).rejects.toThrow(
    'linear of f16[1, 2], f32[1, 2]',
  );
  await expect(runOp(ops.matmul, [tensor('f32', [1, 2], [1, 2]), tensor('f32', [1, 2], [1, 2])], {})).rejects.toThrow(
    'matmul of f32[1, 2] and f32[1, 2]',
  );
  await expect(
    runOp(
      ops.conv2d,
      [randomTensor('f32', [1, 3, 2, 2], 1), randomTensor('f32', [1, 3, 3, 3], 1), tensor('f32', [0])],
      { strides: [1, 1], padding: [0, 0] },
    ),
  ).rejects.toThrow('sizes must be known');
  const convolved = (attrs: { strides: number[]; padding: number[] }) =>
    runOp(
      ops.conv2d,
      [randomTensor('f32', [1, 3, 4, 4], 1), randomTensor('f32', [1, 3, 3, 3], 1), tensor('f32', [0])],
      attrs,
    );
  await expect(convolved({ strides: [1, 1], padding: [0, -1] })).rejects.toThrow('padding [0, -1]');
  await expect(convolved({ strides: [1, 1], padding: [0] })).rejects.toThrow('conv2d of');
  const spread = (attrs: { strides: number[]; padding: number[] }) =>
    runOp(
      ops.conv_transpose2d,
      [randomTensor('f32', [1, 3, 2, 2], 1), randomTensor('f32', [3, 1, 2, 2], 1), tensor('f32', [0])],
      attrs,
    );
  await expect(spread({ strides: [0, 1], padding: [0, 0] })).rejects.toThrow('strides [0, 1]');
  await expect(spread({ strides: [1, 1], padding: [0, -1] })).rejects.toThrow('padding [0, -1]');
  await expect(spread({ strides: [1, 1], padding: [2, 0] })).rejects.toThrow('padding [2, 0]');
  await expect(
    runOp(
      ops.conv_transpose2d,
      [randomTensor('f32', [1, 3, 2, 2], 1), randomTensor('f32', [1, 3, 2, 2], 1), tensor('f32', [0])],
      { strides: [1, 1], padding: [0, 0] },
    ),
  ).rejects.toThrow('conv_transpose2d of f32[1, 3, 2, 2], f32[1, 3, 2, 2], f32[1]');
});

import { expect, test } from 'vitest';
import { randomTensor } from '../testing/random.ts';
import { firstDifference, runOp, tensor, valuesOf } from '../testing/run_op.ts';
import type { Tensor } from '../tensor.ts';
import { ops } from './index.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const LOWEST = -2.3819763e38;

function at({ shape, data }: Tensor, ...index: readonly number[]): number {
  return data[index.reduce((flat, i, axis) => flat * shape[axis]! + i, 0)]!;
}

/** The definition, one query at a time, in float64. */
function naive(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | undefined, softcap: number): number[] {
  const [batch, seq, heads, size] = q.shape as [number, number, number, number];
  const [, kvHeads, total] = k.shape as [number, number, number];
  return range(batch).flatMap((b) =>
    range(seq).flatMap((s) =>
      range(heads).flatMap((n) => {
        const j = Math.floor(n / (heads / kvHeads));
        const scores = range(total).map((t) => {
          const score = range(size).reduce((sum, h) => sum + at(q, b, s, n, h) * at(k, b, j, t, h), 0);
          return (softcap ? softcap * Math.tanh(score / softcap) : score) + (bias ? at(bias, b, 0, s, t) : 0);
        });
        const max = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - max));
        const sum = weights.reduce((a, w) => a + w, 0);
        return range(size).map((h) =>
          range(total).reduce((mixed, t) => mixed + (weights[t]! / sum) * at(v, b, j, t, h), 0),
        );
      }),
    ),
  );
}

test.each([
  ['every head its own', 4, 4, 3, 5, 0],
  ['groups of two', 4, 2, 3, 5, 0],
  ['one KV head for all', 4, 1, 1, 5, 0],
  ['capped', 4, 2, 3, 3, 0.5],
  ['one key', 2, 1, 1, 1, 0],
])('%s', async (_, heads, kvHeads, seq, total, softcap) => {
  const [q, k, v] = [
    randomTensor('f32', [2, seq, heads, 6], 1),
    randomTensor('f32', [2, kvHeads, total, 6], 2),
    randomTensor('f32', [2, kvHeads, total, 6], 3),
  ];
  const bias = randomTensor('f32', [2, 1, seq, total], 4);
  expect(
    firstDifference(await runOp(ops.attention, [q, k, v], { softcap }), naive(q, k, v, undefined, softcap), 1e-6),
  ).toBe(-1);
  expect(
    firstDifference(await runOp(ops.attention, [q, k, v, bias], { softcap }), naive(q, k, v, bias, softcap), 1e-6),
  ).toBe(-1);
});

test.each(['f32', 'f16', 'bf16'] as const)(
  '%s: a fully masked row with a finite bias is the mean of v, and leaves other rows alone',
  async (dtype) => {
    const [q, k, v] = [
      randomTensor(dtype, [1, 2, 2, 4], 1),
      randomTensor(dtype, [1, 1, 2, 4], 2),
      tensor(dtype, [1, 2, 3, 4, 3, 4, 5, 6], [1, 1, 2, 4]),
    ];
    const y = await runOp(ops.attention, [q, k, v, tensor('f32', [LOWEST, LOWEST, 0, LOWEST], [1, 1, 2, 2])], {
      softcap: 0,
    });
    expect(valuesOf(y)).toEqual([2, 3, 4, 5, 2, 3, 4, 5, 1, 2, 3, 4, 1, 2, 3, 4]);
  },
);

test('f16 scores are widened before the cap, the bias and the softmax', async () => {
  const [q, k, v] = [
    tensor('f16', [100], [1, 1, 1, 1]),
    tensor('f16', [10, 9], [1, 1, 2, 1]),
    tensor('f16', [1, 0], [1, 1, 2, 1]),
  ];
  const capped = await runOp(ops.attention, [q, k, v], { softcap: 50 });
  const cap = (s: number) => 50 * Math.tanh(s / 50);
  expect(capped.dtype).toBe('f16');
  expect(firstDifference(capped, [1 / (1 + Math.exp(cap(900) - cap(1000)))], 2 ** -11)).toBe(-1);
});

test('a step with a cache equals the last row of the whole', async () => {
  const [q, k, v] = [
    randomTensor('f32', [1, 3, 2, 4], 1),
    randomTensor('f32', [1, 1, 3, 4], 2),
    randomTensor('f32', [1, 1, 3, 4], 3),
  ];
  const whole = valuesOf(await runOp(ops.attention, [q, k, v], { softcap: 0 }));
  const last = tensor('f32', valuesOf(q).slice(16), [1, 1, 2, 4]);
  expect(valuesOf(await runOp(ops.attention, [last, k, v], { softcap: 0 }))).toEqual(whole.slice(16));
});

test('what does not fit is refused', async () => {
  const [q, k] = [randomTensor('f32', [1, 2, 3, 4], 1), randomTensor('f32', [1, 2, 2, 4], 2)];
  await expect(runOp(ops.attention, [q, k, k], { softcap: 0 })).rejects.toThrow(
    'attention of f32[1, 2, 3, 4], f32[1, 2, 2, 4], f32[1, 2, 2, 4]',
  );
});

test('rope rotates each half-split pair by its position’s angle and keeps lengths', async () => {
  const x = randomTensor('f32', [1, 3, 2, 4], 1);
  const angles = range(8).flatMap((p) => [p, p * 0.01]);
  const [cos, sin] = [tensor('f32', angles.map(Math.cos), [8, 2]), tensor('f32', angles.map(Math.sin), [8, 2])];
  const positions = [0, 5, 7];
  const y = await runOp(ops.rope, [x, tensor('i64', positions, [1, 3]), cos, sin], {});
  const expected = range(3).flatMap((s) =>
    range(2).flatMap((n) =>
      range(4).map((h) => {
        const angle = angles[2 * positions[s]! + (h % 2)]!;
        const [first, second] = [at(x, 0, s, n, h % 2), at(x, 0, s, n, 2 + (h % 2))];
        return h < 2
          ? first * Math.cos(angle) - second * Math.sin(angle)
          : second * Math.cos(angle) + first * Math.sin(angle);
      }),
    ),
  );
  expect(firstDifference(y, expected, 1e-6)).toBe(-1);
  expect(valuesOf(y).slice(0, 8)).toEqual(valuesOf(x).slice(0, 8));
  await expect(runOp(ops.rope, [x, tensor('i64', [0, 1, 8], [1, 3]), cos, sin], {})).rejects.toThrow(
    'gather: index 8 of a table of 8 rows',
  );
  await expect(
    runOp(ops.rope, [randomTensor('f32', [1, 3, 2, 5], 1), tensor('i64', positions, [1, 3]), cos, sin], {}),
  ).rejects.toThrow('rope of f32[1, 3, 2, 5]');
});

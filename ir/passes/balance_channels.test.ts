import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import type { Graph } from '../graph.ts';
import { parseGraph } from '../parse.ts';
import { readTensor, tensorData, tensorOf } from '../tensor.ts';
import { balanceChannels } from './balance_channels.ts';

const TEXT = `graph layer {
  input %x: f32[2, 4]
  weight %norm: f32[4]
  weight %up: f32[2, 4]
  %normed: f32[2, 4] = rms_norm %x, %norm {epsilon = 1e-6}
  %y: f32[2, 2] = linear %normed, %up
  output "y" = %y
}`;
const NORM = [1, 2, 0.5, 4];
const UP = [1, -2, 3, 4, 5, 6, -7, 8];

function layer(norm: readonly number[], up: readonly number[]): Graph {
  const values: Readonly<Record<string, readonly number[]>> = { norm, up };
  return parseGraph(TEXT, { weight: ({ name, shape }) => tensorData(tensorOf('f32', shape, values[name]!)) });
}

async function weightsOf({ constants }: Graph): Promise<Readonly<Record<string, readonly number[]>>> {
  const weights = constants.flatMap((c) => (c.kind === 'weight' ? [c] : []));
  return Object.fromEntries(
    await Promise.all(
      weights.map(async ({ value, data }) => [value.name, [...(await readTensor(data)).data]] as const),
    ),
  );
}

const balanced = (graph: Graph) => weightsOf(balanceChannels.run(graph));
const x = tensorOf('f32', [2, 4], [1, 2, 3, 4, -1, 0.5, 2, -3]);

test('channels of other sizes become the same, and what comes out stays', async () => {
  // of mean 1: what all channels have in common is left to them
  const scales = [1, 32, 1 / 4, 1 / 8];
  const other = layer(
    NORM.map((g, i) => g * scales[i]!),
    UP.map((w, i) => w / scales[i % 4]!),
  );
  const [once, again] = [await balanced(layer(NORM, UP)), await balanced(other)];
  for (const name of ['norm', 'up'])
    for (const [i, value] of once[name]!.entries()) expect(again[name]![i]! / value).toBeCloseTo(1, 6);
  const expected = await evaluateGraph(other, { x });
  const actual = await evaluateGraph(balanceChannels.run(other), { x });
  for (const [i, value] of expected['y']!.data.entries()) expect(actual['y']!.data[i]! / value).toBeCloseTo(1, 5);
});

test('of a channel its readers take ¾ of what sets it apart', async () => {
  // readers 16 times as large, made by as much
  const { norm, up } = await balanced(layer([1, 1, 1, 1], [1, 1, 1, 16, 1, 1, 1, 16]));
  expect(norm![3]! / norm![0]!).toBeCloseTo(16 ** 0.75, 5);
  expect(up![3]! / up![0]!).toBeCloseTo(16 ** 0.25, 5);
});

test.each([
  ['a closed channel', [1, 0, 1, 1], UP],
  ['a column of zeros', NORM, [1, 0, 3, 4, 5, 0, -7, 8]],
  ['a weight that is no number', NORM, [1, Number.NaN, 3, 4, 5, 6, -7, 8]],
  ['an infinite one', NORM, [1, Infinity, 3, 4, 5, 6, -7, 8]],
])('%s stays as it is', async (_, gains, matrix) => {
  const { norm, up } = await balanced(layer(gains, matrix));
  expect(norm![1]).toBe(gains[1]);
  expect([up![1], up![5]]).toEqual([matrix[1], matrix[5]]);
  expect(norm![0]).not.toBe(gains[0]);
});

test('nothing is scaled without end', async () => {
  const { norm } = await balanced(layer([1, 1, 1, 1e-30], [1, 1, 1, 1e30, 1, 1, 1, 1e30]));
  expect(norm![3]! / 1e-30).toBeCloseTo(256, 3);
});

import { beforeAll, expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import { parseGraph } from '../parse.ts';
import { tensorData, type Tensor } from '../tensor.ts';
import { randomTensor, seedOf } from '../testing/random.ts';
import { secondMoments, type SecondMoments } from './second_moments.ts';

/** %a and %b read %x; %b also reads what the first layer makes; %free is no constant's product. */
const GRAPH = parseGraph(
  `graph g {
    input %x: f32[batch, seq, 4]
    input %m: f32[4, 4]
    weight %a: f32[4, 4]
    weight %b: f32[3, 4]
    weight %never: f32[3, 3]
    %first: f32[batch, seq, 4] = linear %x, %a
    %second: f32[batch, seq, 3] = linear %x, %b
    %third: f32[batch, seq, 3] = linear %first, %b
    %free: f32[batch, seq, 4] = linear %x, %m
    %unread: f32[batch, seq, 3] = linear %first, %b
    %dead: f32[batch, seq, 3] = linear %unread, %never
    output "second" = %second
    output "third" = %third
    output "free" = %free
  }`,
  { weight: ({ name, dtype, shape }) => tensorData(randomTensor(dtype, shape, seedOf(name))) },
);

const inputs = [randomTensor('f32', [2, 3, 4], 1), randomTensor('f32', [1, 5, 4], 2)];
const seen: Tensor[] = [];
let moments: SecondMoments;

beforeAll(async () => {
  moments = secondMoments([GRAPH]);
  for (const x of inputs) {
    const { observe } = moments;
    await evaluateGraph(
      GRAPH,
      { x, m: randomTensor('f32', [4, 4], 3) },
      {
        observe(observation) {
          observe(observation);
          if (observation.value === 'first') seen.push(observation.tensor);
        },
      },
    );
  }
});

/** The mean of xᵢ·xⱼ over rows of 4, by definition. */
function naive(tensors: readonly Tensor[], i: number, j: number): number {
  const rows = tensors.flatMap(({ data }) =>
    Array.from({ length: data.length / 4 }, (_, r) => data.subarray(4 * r, 4 * r + 4)),
  );
  return rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0) / rows.length;
}

test('the mean square of every column, over all rows of all runs', () => {
  [0, 1, 2, 3].forEach((k) => {
    expect(moments.importanceOf('a')![k]).toBeCloseTo(naive(inputs, k, k), 12);
    expect(moments.importanceOf('b')![k], 'a weight of two layers sees the rows of both').toBeCloseTo(
      naive([...inputs, ...seen], k, k),
      12,
    );
  });
  expect(moments.importanceOf('a')).toHaveLength(4);
});

test('a weight that met no row, or that is none', () => {
  expect(moments.importanceOf('never')).toBeUndefined();
  expect(moments.importanceOf('m')).toBeUndefined();
});

import { expect, test } from 'vitest';
import { mapBroadcast } from './broadcast.ts';
import { ops } from './ops/index.ts';
import { randomSource } from './random_source.ts';
import { elementCount, tensorOf } from './tensor.ts';

/* The loops are held to the functions that define the ops, on shapes as models have them and on others. */

const F: Readonly<Record<'add' | 'sub' | 'mul' | 'div', (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};
const SHAPES: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [[2, 3, 4], []],
  [[], [2, 3, 4]],
  [[2, 3, 4], [4]],
  [
    [1, 4],
    [2, 3, 4],
  ],
  [
    [2, 3, 4],
    [3, 4],
  ],
  [
    [2, 3, 4],
    [2, 3, 1],
  ],
  [[2, 3, 1], [4]],
  [
    [3, 1],
    [2, 3, 4],
  ],
  [
    [2, 1, 4],
    [2, 3, 4],
  ],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [
    [1, 1, 4],
    [1, 3, 1],
  ],
  [
    [2, 3, 1],
    [3, 4],
  ],
  [[0, 4], [4]],
  [
    [2, 0],
    [2, 1],
  ],
  [[1], [1, 1]],
];

test.each(Object.keys(F) as (keyof typeof F)[])('%s', (name) => {
  const random = randomSource(7);
  const filled = (shape: readonly number[]) =>
    tensorOf(
      'f32',
      shape,
      Array.from({ length: elementCount(shape) }, () => random() * 4 - 2),
    );
  for (const [a, b] of SHAPES) {
    const inputs = [filled(a), filled(b)];
    const [result] = ops[name].evaluate(inputs, {}, new Map());
    const expected = mapBroadcast(inputs, F[name]);
    expect(result!.shape, `[${a.join()}] and [${b.join()}]`).toEqual(expected.shape);
    // a loop may store f32 at once, and another shape goes by the function
    expect(Array.from(result!.data, Math.fround), `[${a.join()}] and [${b.join()}]`).toEqual(
      Array.from(expected.data, Math.fround),
    );
  }
});

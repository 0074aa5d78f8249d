import { expect, test } from 'vitest';
import { multiplications } from './multiplications.ts';
import { parseGraph } from './parse.ts';
import { tensorData, tensorOf } from './tensor.ts';

const graph = parseGraph(
  `graph g {
  input %x: f32[batch, seq, 8]
  weight %w: f32[6, 8]
  weight %k: f32[2, 3, 4, 4]
  weight %b: f32[2]
  input %p: f32[batch, 3, 8, 8]
  %y: f32[batch, seq, 6] = linear %x, %w
  %t: f32[batch, 6, seq] = transpose %y {perm = [0, 2, 1]}
  %s: f32[batch, seq, seq] = matmul %y, %t
  %c: f32[batch, 2, 2, 2] = conv2d %p, %k, %b {strides = [4, 4], padding = [0, 0]}
  output "s" = %s
  output "c" = %c
}`,
  {
    weight: ({ dtype, shape }) =>
      tensorData(tensorOf(dtype, shape, new Float32Array(shape.reduce<number>((n, d) => n * d, 1)))),
  },
);

test('products of rows, of matrices and of windows are counted, by the sizes of inputs', () => {
  const [linear, matmul, conv] = [2 * 5 * 6 * 8, 2 * 5 * 5 * 6, 2 * 2 * 2 * 2 * (3 * 4 * 4)];
  expect(multiplications(graph, { x: [2, 5, 8] })).toBe(linear + matmul + conv);
});

test('a size that no input has is what is said', () => {
  expect(multiplications(graph, { p: [1, 3, 8, 8] }, 7) - multiplications(graph, { p: [1, 3, 8, 8] }, 0)).toBe(
    7 * 6 * 8 + 7 * 7 * 6,
  );
});

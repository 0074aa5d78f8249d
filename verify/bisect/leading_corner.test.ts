import { expect, test } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { leadingCorner } from './leading_corner.ts';

const tensor = tensorOf('i32', [2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

test('the elements at indices below those of a shape', () => {
  expect(leadingCorner(tensor, [2, 2, 1])).toEqual(tensorOf('i32', [2, 2, 1], [0, 2, 6, 8]));
  expect(leadingCorner(tensor, [2, 3, 2])).toBe(tensor);
  expect(leadingCorner(tensor, [0, 3, 2])!.data).toHaveLength(0);
});

test('nothing where there are fewer, or other axes', () => {
  expect(leadingCorner(tensor, [2, 4, 2])).toBeUndefined();
  expect(leadingCorner(tensor, [6, 2])).toBeUndefined();
});

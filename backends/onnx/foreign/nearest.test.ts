import { expect, it } from 'vitest';
import { tensorOf } from '../../../ir/tensor.ts';
import { nearest } from './nearest.ts';

const wanted = tensorOf('f32', [1, 2, 2], [1, 2, 3, 4]);

it('the nearest of that size counts, in the shape that is wanted', () => {
  const found = nearest(wanted, [
    tensorOf('f32', [2, 2], [1, 2, 3, 5]),
    tensorOf('f32', [2, 2], [1, 2, 3, 4.5]),
    tensorOf('f32', [4, 1], [1, 2, 3, 4]),
    tensorOf('f32', [2], [1, 2]),
  ]);
  expect(found).toMatchObject({ shape: [1, 2, 2] });
  expect([...found!.data]).toEqual([1, 2, 3, 4.5]);
});

it('rows that do not count do not', () => {
  const among = [tensorOf('f32', [2, 2], [9, 9, 3, 4]), tensorOf('f32', [2, 2], [1, 2, 3, 4.5])];
  expect([...nearest(wanted, among, [false, true])!.data]).toEqual([9, 9, 3, 4]);
});

it('what is not finite is far', () => {
  const among = [tensorOf('f32', [2, 2], [1, Number.NaN, 3, 4]), tensorOf('f32', [2, 2], [0, 0, 0, 0])];
  expect([...nearest(wanted, among)!.data]).toEqual([0, 0, 0, 0]);
  expect(nearest(wanted, [])).toBeUndefined();
});

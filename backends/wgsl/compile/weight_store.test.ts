import { expect, test } from 'vitest';
import { tensorData } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { WeightStore } from './weight_store.ts';

test('equal weights lie once; different ones that are called alike get names of their own', () => {
  const store = new WeightStore(1 << 20);
  const [a, b] = [tensorData(randomTensor('f32', [4], 1)), tensorData(randomTensor('f32', [4], 2))];
  expect([store.vector('w', a), store.vector('other', a), store.vector('w', b)]).toEqual([0, 0, 1]);
  expect(store.ranges.map(({ name }) => name)).toEqual(['w', 'w_2']);
});

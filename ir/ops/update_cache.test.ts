import { expect, test } from 'vitest';
import { tensorOf } from '../tensor.ts';
import { runOp } from '../testing/run_op.ts';
import { updateCache } from './update_cache.ts';

const count = (from: number, length: number) => Array.from({ length }, (_, i) => from + i);

test('new rows go where they belong, in all heads of all sequences', async () => {
  const cache = tensorOf('f32', [2, 2, 4, 1], count(0, 16));
  const x = tensorOf('f32', [2, 2, 2, 1], count(100, 8));
  const { shape, data } = await runOp(updateCache, [cache, x, tensorOf('i64', [], [1])], {});
  expect(shape).toEqual([2, 2, 4, 1]);
  // x is [batch, position, head], the cache [batch, head, position]
  expect(Array.from(data)).toEqual([0, 100, 102, 3, 4, 101, 103, 7, 8, 104, 106, 11, 12, 105, 107, 15]);
});

test('from the first row on, and up to the last', async () => {
  const cache = tensorOf('f32', [1, 1, 3, 2], count(0, 6));
  const at = async (past: number) =>
    Array.from(
      (await runOp(updateCache, [cache, tensorOf('f32', [1, 1, 1, 2], [8, 9]), tensorOf('i64', [], [past])], {})).data,
    );
  expect(await at(0)).toEqual([8, 9, 2, 3, 4, 5]);
  expect(await at(2)).toEqual([0, 1, 2, 3, 8, 9]);
});

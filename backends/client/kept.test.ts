import { expect, test } from 'vitest';
import { keptUnlessFailed } from './kept.ts';

test('made once for all who ask, again after it has failed', async () => {
  let made = 0;
  const get = keptUnlessFailed(async () => {
    if (++made === 1) throw new Error('not yet');
    return made;
  });
  await expect(get()).rejects.toThrow('not yet');
  expect(await Promise.all([get(), get()])).toEqual([2, 2]);
  expect(await get()).toBe(2);
});

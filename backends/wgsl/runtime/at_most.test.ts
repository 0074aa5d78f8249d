import { expect, test } from 'vitest';
import { atMost } from './at_most.ts';

test('so many at once, in order; one that fails makes room as well', async () => {
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const limited = atMost(2);
  const all = [0, 1, 2, 3].map((i) =>
    limited(async () => {
      begun.push(i);
      await new Promise<void>((resolve) => void ends.push(resolve));
      if (i === 0) throw new Error('it');
      return i;
    }).catch(() => 'failed'),
  );
  const settled = () => new Promise((resolve) => void setTimeout(resolve, 0));
  await settled();
  expect(begun).toEqual([0, 1]);
  ends[0]!();
  await settled();
  expect(begun).toEqual([0, 1, 2]);
  ends[1]!();
  await settled();
  expect(begun).toEqual([0, 1, 2, 3]);
  ends[2]!();
  ends[3]!();
  expect(await Promise.all(all)).toEqual(['failed', 1, 2, 3]);
});

import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { threadCount } from './thread_count.ts';

test('one a core, at most 8', () => {
  for (const unset of [undefined, '']) expect(threadCount(unset)).toBe(Math.min(availableParallelism(), 8));
});

test('what PGCONV_THREADS says', () => {
  expect(['1', '2', '100'].map(threadCount)).toEqual([1, 2, 100]);
  for (const bad of ['0', '-1', '2.5', 'many', '257'])
    expect(() => threadCount(bad)).toThrow(`PGCONV_THREADS is ${bad}`);
});

import { expect, test } from 'vitest';
import type { ValueRows } from '../../../ir/observe/kept_rows.ts';
import { plainExecutor } from '../../../ir/quantize/executor.ts';
import { sampleWeights } from '../../../ir/testing/weights.ts';
import { recentFactors } from './recent_factors.ts';

test('a factor is made once for matrices that follow each other, and dropped after', async () => {
  const reads: string[] = [];
  const value = (name: string): ValueRows => ({
    columns: 8,
    rows: 20,
    async *read() {
      reads.push(name);
      for (let row = 0; row < 20; row++) yield sampleWeights('gauss', 8, row, 1);
    },
  });
  const [a, b, c] = [value('a'), value('b'), value('c')];
  const factorOf = recentFactors(plainExecutor);
  const first = await factorOf([a]);
  expect(await factorOf([a])).toBe(first);
  expect(await factorOf([a, b]), 'of a weight that reads another value too').not.toBe(first);
  expect(await factorOf([a])).toBe(first);
  expect(reads).toEqual(['a', 'a', 'b']);
  await Promise.all([factorOf([b]), factorOf([c])]);
  await factorOf([a]);
  expect(reads).toEqual(['a', 'a', 'b', 'b', 'c', 'a']);
});

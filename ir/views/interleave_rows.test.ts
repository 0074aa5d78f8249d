import { expect, test } from 'vitest';
import { readBytes, readTensor, tensorData } from '../tensor.ts';
import { randomTensor } from '../testing/random.ts';
import { interleaveRows } from './interleave_rows.ts';

test('rows by turns, in pieces of any size', async () => {
  const [a, b] = [randomTensor('f32', [5, 3], 1), randomTensor('f32', [5, 3], 2)];
  const joined = interleaveRows(tensorData(a), tensorData(b));
  expect(joined.shape).toEqual([10, 3]);
  const expected = Array.from({ length: 10 }, (_, row) => [
    ...(row % 2 ? b : a).data.slice(3 * Math.floor(row / 2), 3 * Math.floor(row / 2) + 3),
  ]).flat();
  expect([...(await readTensor(joined)).data]).toEqual(expected);
  const whole = await readBytes(joined);
  for (let begin = 0; begin <= whole.byteLength; begin += 4)
    expect(await readBytes(joined, { begin, end: whole.byteLength, maxBytes: 8 })).toEqual(whole.slice(begin));
  expect(() => interleaveRows(tensorData(a), tensorData(randomTensor('f32', [5, 4], 2)))).toThrow('by turns');
});

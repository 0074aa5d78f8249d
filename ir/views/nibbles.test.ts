import { expect, test } from 'vitest';
import { readBytes, readTensor, tensorData, tensorOf } from '../tensor.ts';
import { nibbles } from './nibbles.ts';

test.each([1, 2, 7, 64])('16 · high + low is the byte, for %d of them, in pieces of any size', async (count) => {
  const data = tensorData(tensorOf('u8', [count], Array.from({ length: count }, (_, i) => (i * 89 + 17) % 256)));
  const [high, low] = [nibbles(data, 'high'), nibbles(data, 'low')];
  expect([high.dtype, high.shape, high.byteLength]).toEqual(['u4', [count], Math.ceil(count / 2)]);
  const [h, l] = [(await readTensor(high)).data, (await readTensor(low)).data];
  expect(Array.from(h, (x, i) => 16 * x + l[i]!)).toEqual([...(await readTensor(data)).data]);
  const whole = await readBytes(high);
  for (let begin = 0; begin <= whole.byteLength; begin++) expect(await readBytes(high, { begin, end: whole.byteLength, maxBytes: 8 })).toEqual(whole.slice(begin));
});

test('codes with a sign have no such halves', () => {
  expect(() => nibbles(tensorData(tensorOf('i8', [1], [1])), 'low')).toThrow('halves of i8');
});

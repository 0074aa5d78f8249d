import { expect, test } from 'vitest';
import { readBytes, readTensor, tensorData, tensorOf } from '../tensor.ts';
import { nibbleRows } from './nibble_rows.ts';

test.each([
  [1, 1],
  [3, 5],
  [4, 8],
  [2, 33],
])('16 · high + low is the byte, for %d rows of %d, in pieces of any size', async (rows, columns) => {
  const data = tensorData(
    tensorOf(
      'u8',
      [rows, columns],
      Array.from({ length: rows * columns }, (_, i) => (i * 89 + 17) % 256),
    ),
  );
  const halves = nibbleRows(data);
  expect([halves.dtype, halves.shape, halves.byteLength]).toEqual(['u4', [2 * rows, columns], rows * columns]);
  const { data: codes } = await readTensor(halves);
  const joined = Array.from({ length: rows * columns }, (_, i) => {
    const at = 2 * Math.floor(i / columns) * columns + (i % columns);
    return 16 * codes[at]! + codes[at + columns]!;
  });
  expect(joined).toEqual([...(await readTensor(data)).data]);
  const whole = await readBytes(halves);
  for (let begin = 0; begin <= whole.byteLength; begin++)
    expect(await readBytes(halves, { begin, end: whole.byteLength, maxBytes: 8 })).toEqual(whole.slice(begin));
});

test('codes with a sign have no such halves', () => {
  expect(() => nibbleRows(tensorData(tensorOf('i8', [1], [1])))).toThrow('halves of i8');
});

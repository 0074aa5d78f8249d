import { describe, expect, test } from 'vitest';
import { readBytes, readTensor, tensorData, tensorOf, type TensorData } from '../tensor.ts';
import { randomTensor } from '../testing/random.ts';
import { mappedBytes, packedRows, reinterpretedData, repeatedColumns } from './bytes.ts';

const nibbles = (rows: number, columns: number) =>
  tensorOf(
    'u4',
    [rows, columns],
    Array.from({ length: rows * columns }, (_, i) => (7 * i + 3) % 16),
  );

/** Reads every range, in the smallest chunks, and compares it with the whole. */
async function expectRangesToAgree(data: TensorData, step = 1): Promise<void> {
  const whole = await readBytes(data);
  expect(whole.byteLength).toBe(data.byteLength);
  for (let begin = 0; begin <= whole.byteLength; begin += step)
    for (let end = begin; end <= whole.byteLength; end += step)
      expect(await readBytes(data, { begin, end, maxBytes: 8 }), `${begin}..${end}`).toEqual(whole.slice(begin, end));
}

test('the same bytes under another dtype and shape', async () => {
  const data = reinterpretedData(tensorData(nibbles(3, 8)), 'u8', [3, 2, 2]);
  expect([data.dtype, data.shape, data.byteLength]).toEqual(['u8', [3, 2, 2], 12]);
  expect((await readTensor(data)).data[0]).toBe(3 + 16 * 10);
  expect(() => reinterpretedData(data, 'u8', [3, 3])).toThrow('u8[3, 2, 2] as u8[3, 3]');
});

test('codes with a sign from codes without: the top bit flipped', async () => {
  const data = mappedBytes(tensorData(tensorOf('u8', [4], [0, 127, 128, 255])), 'i8', (byte) => byte ^ 0x80);
  expect([...(await readTensor(data)).data]).toEqual([-128, -1, 0, 127]);
  const half = mappedBytes(tensorData(tensorOf('i4', [2], [-8, 7])), 'u4', (byte) => byte ^ 0x88);
  expect([...(await readTensor(half)).data]).toEqual([0, 15]);
  expect(() => mappedBytes(data, 'u4', (byte) => byte)).toThrow('i8 as u4');
});

describe.each([
  [1, 1],
  [2, 3],
  [5, 1],
  [5, 7],
  [4, 6],
  [7, 5],
])('4-bit rows %d × %d, each from a byte of its own', (rows, columns) => {
  test('hold what the rows hold, an odd one filled up with 0', async () => {
    const source = nibbles(rows, columns);
    const bytes = await readBytes(packedRows(tensorData(source)));
    const width = Math.ceil(columns / 2);
    expect(bytes.byteLength).toBe(rows * width);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < 2 * width; c++) {
        const nibble = (bytes[r * width + (c >> 1)]! >> (c & 1 ? 4 : 0)) & 15;
        expect(nibble, `${r}, ${c}`).toBe(c < columns ? source.data[r * columns + c] : 0);
      }
  });

  test('read in any range', () => expectRangesToAgree(packedRows(tensorData(nibbles(rows, columns)))));
});

test('one column several times over', async () => {
  const data = repeatedColumns(tensorData(tensorOf('f16', [3, 1], [1, 2, 3])), 4);
  expect(data.shape).toEqual([3, 4]);
  expect([...(await readTensor(data)).data]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
  await expectRangesToAgree(data, 2);
  expect(() => repeatedColumns(tensorData(randomTensor('f32', [2, 2], 1)), 2)).toThrow('f32[2, 2]');
  expect(() => repeatedColumns(tensorData(nibbles(2, 1)), 2)).toThrow('u4[2, 1]');
});

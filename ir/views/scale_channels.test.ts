import { expect, test } from 'vitest';
import { readTensor, tensorData, tensorOf, readBytes } from '../tensor.ts';
import { castData } from './cast.ts';
import { channelSquares, scaleChannels } from './scale_channels.ts';

const matrix = tensorData(tensorOf('f32', [2, 3], [1, 2, 3, 4, 5, 6]));
const by =
  (...factors: number[]) =>
  () =>
    Promise.resolve(Float64Array.from(factors));
const valuesOf = async (data: typeof matrix) => [...(await readTensor(data)).data];

test('rows and columns are multiplied', async () => {
  expect(await valuesOf(scaleChannels(matrix, 'first', by(10, 2)))).toEqual([10, 20, 30, 8, 10, 12]);
  expect(await valuesOf(scaleChannels(matrix, 'last', by(10, 2, 0.5)))).toEqual([10, 4, 1.5, 40, 10, 3]);
});

test('a vector has one axis', async () => {
  const vector = tensorData(tensorOf('f32', [3], [1, 2, 3]));
  for (const axis of ['first', 'last'] as const) {
    expect(await valuesOf(scaleChannels(vector, axis, by(1, 10, 100)))).toEqual([1, 20, 300]);
    expect([...(await channelSquares(vector, axis))]).toEqual([1, 4, 9]);
  }
});

test('a part of it is that part of the whole, however it is cut', async () => {
  for (const axis of ['first', 'last'] as const) {
    const scaled = scaleChannels(matrix, axis, by(10, 2, 0.5));
    const whole = await readBytes(scaled);
    for (let begin = 0; begin <= 24; begin += 4)
      for (let end = begin; end <= 24; end += 4)
        expect(await readBytes(scaled, { begin, end, maxBytes: 8 })).toEqual(whole.subarray(begin, end));
  }
});

test('squares of rows and columns are added up', async () => {
  expect([...(await channelSquares(matrix, 'first'))]).toEqual([14, 77]);
  expect([...(await channelSquares(matrix, 'last'))]).toEqual([17, 29, 45]);
});

test('only f32 is scaled', () => {
  expect(() => scaleChannels(castData(matrix, 'f16'), 'first', by(1, 1))).toThrow(RangeError);
});

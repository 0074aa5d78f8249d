import { expect, test } from 'vitest';
import { giveBack, isTaken, letGo, takeF32, takeF64 } from './scratch.ts';

const LARGE = 1024 * 1024 + 7;

test('what is given back is taken again, as f32 or f64', () => {
  const first = takeF32(2 * LARGE).fill(3);
  const { buffer } = first;
  giveBack(first);
  const again = takeF64(LARGE);
  expect(again.buffer).toBe(buffer);
  expect(takeF64(LARGE).buffer).not.toBe(buffer);
});

test('twice given back is once there', () => {
  const array = takeF64(LARGE + 1);
  giveBack(array);
  giveBack(array);
  const [one, other] = [takeF64(LARGE + 1), takeF64(LARGE + 1)];
  expect(one.buffer).not.toBe(other.buffer);
});

test('arrays of others are left alone', () => {
  const others = new Float64Array(LARGE + 2);
  giveBack(others);
  expect(isTaken(others)).toBe(false);
  expect(takeF64(LARGE + 2).buffer).not.toBe(others.buffer);
});

test('no more than 512 MiB are kept', () => {
  const arrays = Array.from({ length: 20 }, (_, i) => takeF64(8 * 1024 * 1024 + i));
  const buffers = arrays.map(({ buffer }) => buffer);
  for (const array of arrays) giveBack(array);
  const found = arrays.filter(({ length }) => buffers.includes(takeF64(length).buffer));
  expect(found.length).toBeGreaterThan(0);
  expect(found.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(512 * 1024 * 1024);
});

test('what is let go is not taken again', () => {
  const array = takeF64(LARGE + 3);
  giveBack(array);
  letGo();
  expect(takeF64(LARGE + 3).buffer).not.toBe(array.buffer);
});

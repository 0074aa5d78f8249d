import { expect, test } from 'vitest';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import { maskIou, maskOverlap, pastedMasks } from './mask_overlap.ts';

const mask = (...pixels: readonly number[]) => Uint8Array.from(pixels);

test.each([
  ['the same', mask(1, 1, 0, 0), mask(1, 1, 0, 0), 1],
  ['a pixel of three', mask(1, 1, 0, 0), mask(0, 1, 1, 0), 1 / 3],
  ['apart', mask(1, 0, 0, 0), mask(0, 0, 0, 1), 0],
  ['one empty', mask(0, 0, 0, 0), mask(1, 0, 0, 0), 0],
  ['both empty', mask(0, 0, 0, 0), mask(0, 0, 0, 0), 1],
])('intersection over union: %s', (_, a, b, expected) => {
  expect(maskIou(a, b)).toBeCloseTo(expected, 12);
  expect(maskIou(b, a)).toBeCloseTo(expected, 12);
});

test('of several objects each counts once, and one that is missing or too many is 0', () => {
  const [left, right, wide] = [mask(1, 1, 0, 0), mask(0, 0, 1, 1), mask(1, 1, 1, 0)];
  expect(maskOverlap([right, left], [left, right])).toBe(1);
  expect(maskOverlap([left], [left, right]), 'missing').toBe(0.5);
  expect(maskOverlap([left, right, wide], [left, right]), 'too many').toBeCloseTo(2 / 3, 12);
  expect(maskOverlap([left, left], [left, right]), 'the same twice').toBe(0.5);
  // in the order of overlap: what fits best is not spent on another
  expect(maskOverlap([wide, left], [left, right])).toBeCloseTo((1 + 1 / 4) / 2, 12);
  expect(maskOverlap([], [left])).toBe(0);
  expect(maskOverlap([], [])).toBe(1);
});

test('masks lie in their boxes, and an object without one is empty', () => {
  const { objects } = parseAnswer(
    '<loc0000><loc0000><loc1023><loc0512> cat ; <loc0000><loc0000><loc1023><loc1023> dog',
  );
  const size = { width: 4, height: 2 };
  const [cat, dog] = pastedMasks(objects, [new Float32Array(64 * 64).fill(1), undefined], size);
  expect(cat).toEqual(mask(1, 1, 0, 0, 1, 1, 0, 0));
  expect(dog).toEqual(mask(0, 0, 0, 0, 0, 0, 0, 0));
  const [broken] = pastedMasks(objects, [new Float32Array(64 * 64).fill(Number.NaN)], size);
  expect(broken, 'what is no number is nowhere').toEqual(dog);
});

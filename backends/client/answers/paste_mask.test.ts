import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pasteMask } from './paste_mask.ts';
import { placeBox, type Convention } from './place_box.ts';

const CONVENTIONS: readonly Convention[] = ['bigvision', 'huggingface'];
const full = (value: number) => new Float32Array(64 * 64).fill(value);

describe('where a box lies', () => {
  test('y by the height, x by the width; the two conventions', () => {
    const box = { y0: 0, x0: 256, y1: 512, x1: 1023 };
    const size = { width: 1000, height: 100 };
    expect(placeBox(box, size)).toEqual({ y0: 0, x0: 250, y1: 50, x1: 1000 });
    expect(placeBox(box, size, 'huggingface')).toEqual({ y0: 0, x0: 250, y1: 50, x1: 999 });
  });

  test('halves are rounded to even, as Python rounds', () => {
    const at = (x0: number) => placeBox({ y0: 0, x0, y1: 0, x1: 1023 }, { width: 512, height: 1 }, 'huggingface').x0;
    expect([1, 3, 5, 2].map(at)).toEqual([0, 2, 2, 1]);
  });

  test('a convention that there is not is refused by all', () => {
    const box = { y0: 0, x0: 0, y1: 2, x1: 2 };
    const wrong = 'bogus' as Convention;
    expect(() => placeBox(box, { width: 4, height: 4 }, wrong)).toThrow('there are bigvision and huggingface');
    expect(() => pasteMask(full(1), box, { width: 4, height: 4 }, wrong)).toThrow(RangeError);
  });

  test('a box is within its picture', () => {
    const index = fc.integer({ min: 0, max: 1023 });
    const side = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(fc.tuple(index, index, index, index), side, side, ([a, b, c, d], width, height) => {
        const box = { y0: Math.min(a, b), x0: Math.min(c, d), y1: Math.max(a, b), x1: Math.max(c, d) };
        for (const convention of CONVENTIONS) {
          const { y0, x0, y1, x1 } = placeBox(box, { width, height }, convention);
          expect(0 <= y0 && y0 <= y1 && y1 <= height && 0 <= x0 && x0 <= x1 && x1 <= width).toBe(true);
        }
      }),
    );
  });
});

describe('a mask in its place', () => {
  const size = { width: 9, height: 7 };
  const box = { y0: 1, x0: 2, y1: 5, x1: 8 };
  const inBox = Array.from({ length: 63 }, (_, i) => {
    const [y, x] = [Math.floor(i / 9), i % 9];
    return y >= 1 && y < 5 && x >= 2 && x < 8 ? 1 : 0;
  });

  test('is there in the box, and nowhere else', () => {
    expect([...pasteMask(full(1), box, size)]).toEqual(inBox);
    expect([...pasteMask(full(1), box, size, 'huggingface')]).toEqual(inBox);
    expect(pasteMask(full(-1), box, size)).toEqual(new Uint8Array(63));
    expect(pasteMask(full(-1), box, size, 'huggingface')).toEqual(new Float32Array(63));
  });

  test('0 is not there, or half', () => {
    expect(pasteMask(full(0), box, size)).toEqual(new Uint8Array(63));
    const soft = pasteMask(full(0), box, size, 'huggingface');
    expect(soft[1 * 9 + 2]).toBe(Math.fround(127 / 255));
  });

  test('a box without pixels has none', () => {
    for (const empty of [
      { ...box, y1: 1 },
      { ...box, x1: 2 },
    ])
      for (const convention of CONVENTIONS)
        expect(pasteMask(full(1), empty, size, convention).every((value) => value === 0)).toBe(true);
  });

  test.each([
    ['another size of mask', new Float32Array(63), box],
    ['a box below the picture', full(1), { ...box, y1: 8 }],
    ['a box beside it', full(1), { ...box, x0: -1 }],
    ['a box that is turned', full(1), { ...box, x0: 8, x1: 2 }],
    ['parts of pixels', full(1), { ...box, y0: 0.5 }],
  ])('%s is refused', (_, mask, place) => {
    expect(() => pasteMask(mask, place, size)).toThrow(RangeError);
  });
});

import { describe, expect, test } from 'vitest';
import type { LocationBox } from '../../backends/client/answers/objects.ts';
import { bestOverlaps, intersectionOverUnion } from './box_overlap.ts';

const box = (y0: number, x0: number, y1: number, x1: number): LocationBox => ({ y0, x0, y1, x1 });
const loc = (...indices: readonly number[]) => indices.map((i) => `<loc${String(i).padStart(4, '0')}>`).join('');

describe('intersection over union', () => {
  test.each([
    ['the same', box(0, 0, 1, 1), box(0, 0, 1, 1), 1],
    ['half inside', box(0, 0, 1, 1), box(0, 0.5, 1, 1.5), 1 / 3],
    ['a quarter of the other', box(0, 0, 1, 1), box(0, 0, 0.5, 0.5), 0.25],
    ['apart', box(0, 0, 0.2, 0.2), box(0.5, 0.5, 1, 1), 0],
    ['touching', box(0, 0, 0.5, 1), box(0.5, 0, 1, 1), 0],
    ['the same point', box(0.5, 0.5, 0.5, 0.5), box(0.5, 0.5, 0.5, 0.5), 1],
    ['another point', box(0.5, 0.5, 0.5, 0.5), box(0.4, 0.5, 0.4, 0.5), 0],
  ])('%s', (_, a, b, expected) => {
    expect(intersectionOverUnion(a, b)).toBeCloseTo(expected, 12);
    expect(intersectionOverUnion(b, a)).toBeCloseTo(expected, 12);
  });
});

test('the best box of the same name counts; a missing one is 0; no boxes expected gives none', () => {
  const cat = `${loc(0, 0, 512, 512)} cat`;
  expect(bestOverlaps(`${loc(600, 600, 700, 700)} cat ; ${cat}`, cat)).toEqual([1]);
  expect(bestOverlaps(`${loc(0, 0, 512, 512)} dog`, cat)).toEqual([0]);
  expect(bestOverlaps('a cat', `${cat} ; ${loc(0, 0, 1, 1)} dog`)).toEqual([0, 0]);
  expect(bestOverlaps(cat, 'one')).toEqual([]);
});

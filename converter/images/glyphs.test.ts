import { describe, expect, test } from 'vitest';
import { GLYPH_ADVANCE, GLYPH_ROWS, glyphPath, hasGlyphs } from './glyphs.ts';

/** Draws the path's rectangles as text, a character per dot. */
function dots(text: string): string[] {
  const rows = Array.from({ length: GLYPH_ROWS }, () => new Array<string>([...text].length * GLYPH_ADVANCE).fill('.'));
  for (const [, x, y, w] of glyphPath(text, 0, 0, 1).matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g))
    rows[Number(y)]!.fill('#', Number(x), Number(x) + Number(w));
  return rows.map((row) => row.join(''));
}

const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCodePoint(32 + i));

describe('the built-in face', () => {
  test('looks like letters', () => {
    expect(dots('Ag2')).toEqual([
      '.###.........###..',
      '#...#.......#...#.',
      '#...#..####.....#.',
      '#####.#...#....#..',
      '#...#.#...#...#...',
      '#...#.#...#..#....',
      '#...#..####.#####.',
      '..........#.......',
      '.......###........',
    ]);
  });

  test('has all of printable ASCII, each its own, and nothing else', () => {
    expect(hasGlyphs(ASCII.join(''))).toBe(true);
    expect(new Set(ASCII.map((c) => dots(c).join('\n'))).size).toBe(95);
    for (const text of ['é', '猫', '\n', '😀', 'constructor猫']) expect(hasGlyphs(text)).toBe(false);
  });

  test('every dot lies in its cell', () => {
    for (const c of ASCII) {
      const picture = dots(c);
      expect(picture).toHaveLength(GLYPH_ROWS);
      expect(picture.every((row) => row.length === GLYPH_ADVANCE && row.endsWith('.'))).toBe(true);
    }
  });

  test('moves and scales', () => {
    expect(glyphPath('-', 10, 20, 3)).toBe('M10 29h15v3h-15z');
    expect(glyphPath(' -', 10, 20, 3)).toBe('M28 29h15v3h-15z');
  });
});

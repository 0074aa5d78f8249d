import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linesOf, TextTable } from './text_table.ts';

const HEAD = ['picture', 'prompt', 'says', ''] as const;
const ROWS = [
  ['000.png', 'detect green circle', '<loc0640><loc0384><loc1023><loc0768> green circle', 'same'],
  ['001.png', 'how many?', '', 'DIFFERENT'],
] as const;

describe('a table', () => {
  test('is as wide as it is where nothing is narrower', () => {
    const lines = new TextTable(HEAD, ROWS).lines();
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
    expect(new TextTable(HEAD, ROWS).lines(lines[0]!.length)).toEqual(lines);
  });

  test('turns where a terminal is narrower: each row under its first cell, empty cells left out', () => {
    expect(new TextTable(HEAD, ROWS).lines(40)).toEqual([
      '000.png',
      '  prompt: detect green circle',
      '  says:',
      '    <loc0640><loc0384><loc1023><loc0768>',
      '    green circle',
      '  same',
      '001.png',
      '  prompt: how many?, DIFFERENT',
    ]);
  });

  test('short cells share a line, as figures do', () => {
    const table = new TextTable(['case', 'rel L2', 'cosine'], [['a case with a name', '1.0e-4', '0.9999']], {
      right: [1, 2],
      plain: true,
    });
    expect(table.lines(30)).toEqual(['a case with a name', '  rel L2: 1.0e-4,', '  cosine: 0.9999']);
    expect(table.lines(36)).toEqual(['a case with a name', '  rel L2: 1.0e-4, cosine: 0.9999']);
  });

  test('fits any terminal, and loses nothing of its cells', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 50 });
    const rows = fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(rows, fc.integer({ min: 8, max: 120 }), (given, columns) => {
        const lines = new TextTable(HEAD, given).lines(columns);
        for (const line of lines) expect(line.trimEnd().length).toBeLessThanOrEqual(columns);
        const letters = (text: string) => text.replaceAll(/[^ab]/g, '');
        const bare = (text: string) => letters(text.replaceAll(/picture|prompt|says/g, ''));
        expect(bare(lines.join(''))).toBe(letters(given.flat().join('')));
      }),
    );
  });
});

test('among lines it takes the width of where they are written', () => {
  const lines = ['first', new TextTable(HEAD, ROWS), 'last'];
  expect(linesOf(lines, 40)).toHaveLength(10);
  expect(linesOf(lines)[0]).toBe('first');
  expect(linesOf(lines).at(-1)).toBe('last');
});

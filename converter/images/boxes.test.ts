import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBoxes, toPixelBox } from './boxes.ts';

const loc = (...indices: number[]) => indices.map((i) => `<loc${String(i).padStart(4, '0')}>`).join('');
const seg = (count: number, index = 7) => `<seg${String(index).padStart(3, '0')}>`.repeat(count);
const messages = (text: string) => parseBoxes(text).problems.map((p) => p.message);

describe('parseBoxes', () => {
  test('one box: y0, x0, y1, x1', () => {
    expect(parseBoxes('<loc0000><loc0256><loc0512><loc1023> red circle')).toEqual({
      boxes: [{ label: 'red circle', y0: 0, x0: 256 / 1023, y1: 512 / 1023, x1: 1, segments: [] }],
      problems: [],
      segmentTokens: 0,
    });
  });

  test('the divisor of the demos', () => {
    expect(parseBoxes(`${loc(0, 256, 512, 1023)} a`, { divisor: 1024 }).boxes[0]).toMatchObject({
      x0: 0.25,
      y1: 0.5,
      x1: 1023 / 1024,
    });
  });

  test('several, with odd blanks and a lost separator', () => {
    const text = ` ${loc(1, 2, 3, 4)} cat ;${loc(5, 6, 7, 8)}dog${loc(9, 10, 11, 12)} a < b;`;
    const { boxes, problems } = parseBoxes(text);
    expect(problems).toEqual([]);
    expect(boxes.map(({ label, y0 }) => [label, y0 * 1023])).toEqual([
      ['cat', 1],
      ['dog', 5],
      ['a < b', 9],
    ]);
  });

  test('masks', () => {
    const { boxes, problems, segmentTokens } = parseBoxes(
      `${loc(1, 2, 3, 4)}${seg(16, 127)} cat ; ${loc(1, 2, 3, 4)} dog`,
    );
    expect([problems, segmentTokens]).toEqual([[], 16]);
    expect(boxes.map((b) => b.segments)).toEqual([new Array(16).fill(127), []]);
  });

  test('an answer in words is no malformed box', () => {
    for (const text of ['', ' ', 'a cat; on a <mat>', 'I see 3 <locations>'])
      expect(parseBoxes(text)).toEqual({ boxes: [], problems: [], segmentTokens: 0 });
  });

  test('malformed boxes are reported with their place, and the others are kept', () => {
    const text = `${loc(1, 2, 3)} cat ; ${loc(5, 6, 7, 8)} dog`;
    const { boxes, problems } = parseBoxes(text);
    expect(boxes.map((b) => b.label)).toEqual(['dog']);
    expect(problems).toEqual([
      { offset: 0, text: `${loc(1, 2, 3)} cat`, message: '3 location tokens, where a box has 4' },
    ]);
  });

  test('each kind of problem', () => {
    expect(messages(`${loc(1, 2, 3, 4, 5)} cat`)).toEqual([expect.stringContaining('5 location')]);
    expect(messages(`${loc(1, 2, 3, 1024)} cat`)).toEqual([expect.stringContaining('above 1023')]);
    expect(messages(`${loc(3, 2, 1, 4)} cat`)).toEqual([expect.stringContaining('second corner')]);
    expect(messages(`${loc(1, 4, 3, 2)} cat`)).toEqual([expect.stringContaining('second corner')]);
    expect(messages(`${loc(1, 2, 3, 4)} cat ; dog`)).toEqual([expect.stringContaining('0 location')]);
    expect(messages(`I see ${loc(1, 2, 3, 4)} cat`)).toEqual([expect.stringContaining('0 location')]);
    expect(messages(`${seg(16)} cat`)).toEqual([expect.stringContaining('0 location')]);
  });

  test('cut off in the middle: the box stays, with a remark', () => {
    expect(parseBoxes(loc(1, 2, 3, 4))).toMatchObject({
      boxes: [{ label: '' }],
      problems: [{ message: 'a box without a label' }],
    });
    expect(parseBoxes(`${loc(1, 2, 3, 4)}${seg(5)} cat`)).toMatchObject({
      boxes: [{ label: 'cat' }],
      problems: [{ message: expect.stringContaining('5 segment') }],
      segmentTokens: 5,
    });
    expect(parseBoxes(`${loc(1, 2, 3, 4)}${seg(16, 128)} cat`).problems).toHaveLength(1);
  });

  test('a line is a box', () => {
    expect(parseBoxes(`${loc(5, 5, 5, 9)} wire`)).toMatchObject({ boxes: [{ label: 'wire' }], problems: [] });
  });

  test('what is written is read', () => {
    const index = fc.integer({ min: 0, max: 1023 });
    const box = fc.record({
      label: fc.stringMatching(/^[a-z<>]([a-z <>]{0,8}[a-z])?$/),
      y: fc.tuple(index, index),
      x: fc.tuple(index, index),
    });
    fc.assert(
      fc.property(fc.array(box, { maxLength: 5 }), (list) => {
        const sorted = list.map(({ label, y, x }) => ({
          label,
          y: y.toSorted((a, b) => a - b),
          x: x.toSorted((a, b) => a - b),
        }));
        const text = sorted.map(({ label, y, x }) => `${loc(y[0]!, x[0]!, y[1]!, x[1]!)} ${label}`).join(' ; ');
        const { boxes, problems } = parseBoxes(text);
        expect(problems).toEqual([]);
        expect(
          boxes.map((b) => ({
            label: b.label,
            y: [b.y0, b.y1].map((v) => Math.round(v * 1023)),
            x: [b.x0, b.x1].map((v) => Math.round(v * 1023)),
          })),
        ).toEqual(sorted);
      }),
    );
  });

  test('no text throws, nor takes long', () => {
    const parts = fc.constantFrom('<loc0001>', '<loc9999>', '<seg001>', '<loc', '>', ';', ' ', 'cat', '<', '\n', '猫');
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 40 }), (list) => {
        const { boxes, problems } = parseBoxes(list.join(''));
        for (const b of boxes) expect([b.y0, b.x0, b.y1, b.x1].every((v) => v >= 0 && v <= 1)).toBe(true);
        for (const p of problems) expect(list.join('').startsWith(p.text, p.offset)).toBe(true);
      }),
    );
    const started = performance.now();
    parseBoxes('<loc0001> '.repeat(20_000) + '<'.repeat(20_000) + ' <loc'.repeat(20_000));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('toPixelBox', () => {
  test('y by height, x by width, truncated', () => {
    const [box] = parseBoxes(`${loc(0, 256, 512, 1023)} a`).boxes;
    expect(toPixelBox(box!, 1000, 100)).toEqual({ y0: 0, x0: 250, y1: 50, x1: 1000 });
  });
});

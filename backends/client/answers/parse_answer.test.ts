import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAnswer } from './parse_answer.ts';

const loc = (...indices: number[]) => indices.map((i) => `<loc${String(i).padStart(4, '0')}>`).join('');
const seg = (count: number, index = 7) => `<seg${String(index).padStart(3, '0')}>`.repeat(count);
const names = (text: string) => parseAnswer(text).objects.map(({ name }) => name);
const messages = (text: string) => parseAnswer(text).problems.map(({ message }) => message);
const codes = (count = 16, index = 7) => new Array<number>(count).fill(index);

describe('the objects of a text', () => {
  test('one box: y0, x0, y1, x1', () => {
    expect(parseAnswer('<loc0000><loc0256><loc0512><loc1023> red circle')).toEqual({
      objects: [{ box: { y0: 0, x0: 256, y1: 512, x1: 1023 }, name: 'red circle', offset: 0 }],
      problems: [],
    });
  });

  test('masks, boxes, and both in one answer', () => {
    const { objects, problems } = parseAnswer(`${loc(1, 2, 3, 4)}${seg(16, 127)} cat ; ${loc(1, 2, 3, 4)} dog`);
    expect(problems).toEqual([]);
    expect(objects.map((object) => object.codes)).toEqual([codes(16, 127), undefined]);
  });

  test('without names, as fine-tunes on RefCOCO answer', () => {
    const { objects, problems } = parseAnswer(`${loc(1, 2, 3, 4)}${seg(16)}`);
    expect([objects, problems]).toEqual([
      [{ box: { y0: 1, x0: 2, y1: 3, x1: 4 }, codes: codes(), name: '', offset: 0 }],
      [],
    ]);
  });

  test('several, with odd blanks and lost separators', () => {
    const text = ` ${loc(1, 2, 3, 4)} cat ;${loc(5, 6, 7, 8)}dog${loc(9, 10, 11, 12)} a < b;`;
    expect(names(text)).toEqual(['cat', 'dog', 'a < b']);
    expect(messages(text)).toEqual([]);
    const joined = `${loc(1, 2, 3, 4)}${seg(16)}${loc(5, 6, 7, 8)}${seg(16)} dog`;
    expect(names(joined)).toEqual(['', 'dog']);
    expect(messages(joined)).toEqual([]);
  });

  test('an answer in words is no object that went wrong', () => {
    for (const text of ['', ' ', 'a cat; on a <mat>', 'I see 3 <locations>'])
      expect(parseAnswer(text)).toEqual({ objects: [], problems: [] });
  });

  test('malformed ones are problems with their place, and the others are kept', () => {
    const text = `${loc(1, 2, 3)} cat ; ${loc(5, 6, 7, 8)} dog`;
    expect(names(text)).toEqual(['dog']);
    expect(parseAnswer(text).problems).toEqual([
      { offset: 0, text: `${loc(1, 2, 3)} cat`, message: '3 location tokens, where a box has 4' },
    ]);
  });

  test.each([
    [`${loc(1, 2, 3, 4, 5)} cat`, '5 location'],
    [`${loc(1, 2, 3, 1024)} cat`, 'above 1023'],
    [`${loc(3, 2, 1, 4)} cat`, 'second corner'],
    [`${loc(1, 4, 3, 2)} cat`, 'second corner'],
    [`${loc(1, 2, 3, 4)} cat ; dog`, '0 location'],
    [`I see ${loc(1, 2, 3, 4)} cat`, '0 location'],
    [`${seg(16)} cat`, '0 location'],
  ])('%s: %s', (text, message) => {
    expect(messages(text)).toEqual([expect.stringContaining(message)]);
  });

  test('cut off in the middle of a mask: the box stays, without codes', () => {
    const { objects, problems } = parseAnswer(`${loc(1, 2, 3, 4)}${seg(5)}`);
    expect(objects).toEqual([{ box: { y0: 1, x0: 2, y1: 3, x1: 4 }, name: '', offset: 0 }]);
    expect(problems).toMatchObject([{ message: expect.stringContaining('5 segment') }]);
    expect(messages(`${loc(1, 2, 3, 4)}${seg(16, 128)} cat`)).toEqual([expect.stringContaining('above 127')]);
  });
});

describe('the objects of ids', () => {
  const decode = (ids: number[]) => ids.map((id) => ({ 4991: ' cat', 2162: ' ;', 1: '' })[id] ?? '?').join('');

  test('with the ids of published models', () => {
    const ids = [256_000, 256_256, 256_512, 257_023, ...codes(16, 257_031), 4991, 2162, 256_001, 256_002, 256_003];
    const { objects, problems } = parseAnswer([...ids, 256_004, 4991, 1], { decode });
    expect(problems).toEqual([]);
    expect(objects).toMatchObject([
      { box: { y0: 0, x0: 256, y1: 512, x1: 1023 }, codes: codes(), name: 'cat' },
      { box: { y0: 1, x0: 2, y1: 3, x1: 4 }, name: 'cat' },
    ]);
    // a tensor of int64, and no tokenizer: the same without names
    const unnamed = parseAnswer(BigInt64Array.from([...ids, 256_004].map(BigInt)));
    expect(unnamed.objects.map(({ box }) => box)).toEqual(objects.map(({ box }) => box));
  });

  test('of a batch of one row', () => {
    const row = BigInt64Array.from([256_000n, 256_001n, 256_002n, 256_003n]);
    for (const batch of [[[...row]], [row]])
      expect(parseAnswer(batch).objects).toEqual(parseAnswer('<loc0000><loc0001><loc0002><loc0003>').objects);
  });

  test('with other ids of locations and codes', () => {
    const { objects } = parseAnswer([386, 387, 388, 389, ...codes(16, 1410)], { locationId: 386, segmentId: 1410 });
    expect(objects).toEqual([{ box: { y0: 0, x0: 1, y1: 2, x1: 3 }, codes: codes(16, 0), name: '', offset: 0 }]);
  });
});

const index = fc.integer({ min: 0, max: 1023 });
const objectLike = fc.record({
  name: fc.stringMatching(/^[a-z<>]([a-z <>]{0,8}[a-z])?$/),
  y: fc.tuple(index, index),
  x: fc.tuple(index, index),
  codes: fc.option(fc.array(fc.integer({ min: 0, max: 127 }), { minLength: 16, maxLength: 16 }), { nil: undefined }),
});

test('what is written is read', () => {
  const separator = fc.constantFrom(' ; ', ';', ' ');
  fc.assert(
    fc.property(fc.array(objectLike, { maxLength: 5 }), separator, (list, between) => {
      const objects = list.map(({ name, y, x, codes: mask }) => {
        const [y0, y1] = y.toSorted((a, b) => a - b);
        const [x0, x1] = x.toSorted((a, b) => a - b);
        return { name, box: { y0, x0, y1, x1 }, ...(mask && { codes: mask }) };
      });
      const text = objects
        .map(({ name, box, codes: mask = [] }) => {
          const segments = mask.map((code) => `<seg${String(code).padStart(3, '0')}>`).join('');
          return `${loc(box.y0!, box.x0!, box.y1!, box.x1!)}${segments} ${name}`;
        })
        .join(between);
      const read = parseAnswer(text);
      expect(read.problems).toEqual([]);
      expect(read.objects.map(({ name, box, codes: mask }) => ({ name, box, ...(mask && { codes: mask }) }))).toEqual(
        objects,
      );
    }),
  );
});

test('no text throws, nor takes long', () => {
  const parts = fc.constantFrom('<loc0001>', '<loc9999>', '<seg001>', '<loc', '>', ';', ' ', 'cat', '<', '\n', '猫');
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 40 }), (list) => {
      const text = list.join('');
      const { objects, problems } = parseAnswer(text);
      for (const { box } of objects) expect(Object.values(box).every((each) => each >= 0 && each <= 1023)).toBe(true);
      for (const { codes: mask } of objects) expect(mask === undefined || mask.length === 16).toBe(true);
      for (const { offset, text: part } of problems) expect(text.startsWith(part, offset)).toBe(true);
    }),
  );
  const started = performance.now();
  parseAnswer('<loc0001> '.repeat(20_000) + '<'.repeat(20_000) + ' <loc'.repeat(20_000));
  expect(performance.now() - started).toBeLessThan(2000);
});

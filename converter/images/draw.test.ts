import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BadInputError, OutputError } from '../errors.ts';
import { boxOverlay, type PlacedObject } from './box_overlay.ts';
import { decodeImage } from './decode.ts';
import { drawBoxes, renderBoxes } from './draw.ts';
import { rgbImage, type RgbImage } from '../../backends/client/images/rgb_image.ts';

/** In fractions of the picture. */
const box = (y0: number, x0: number, y1: number, x1: number, name = ''): PlacedObject => ({ name, y0, x0, y1, x1 });
const on = (width: number, height: number, boxes: readonly PlacedObject[]): PlacedObject[] =>
  boxes.map(({ name, y0, x0, y1, x1 }) => ({
    name,
    y0: Math.trunc(y0 * height),
    x0: Math.trunc(x0 * width),
    y1: Math.trunc(y1 * height),
    x1: Math.trunc(x1 * width),
  }));
const rendered = (image: RgbImage, boxes: readonly PlacedObject[]) =>
  renderBoxes(image, on(image.width, image.height, boxes));
const overlay = (boxes: readonly PlacedObject[], width: number, height: number) =>
  boxOverlay(on(width, height, boxes), width, height);
const canvas = (width: number, height: number, value = 40) =>
  rgbImage(width, height, new Uint8Array(width * height * 3).fill(value));
const pixel = ({ width, data }: RgbImage, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];
const ORANGE = [0xe6, 0x9f, 0x00];
const BLUE = [0x56, 0xb4, 0xe9];

describe('renderBoxes', () => {
  test('a mask tints its own pixels, by half, and no others', async () => {
    const picture = canvas(60, 40);
    const place = { y0: 10, x0: 20, y1: 30, x1: 50 };
    const mask = Uint8Array.from({ length: 20 * 30 }, (_, i) => (i % 30 < 15 ? 1 : 0));
    const draw = async (own?: Uint8Array) =>
      decodeImage(await renderBoxes(picture, [{ ...place, name: '', ...(own && { mask: own }) }]));
    const [with_, without] = [await draw(mask), await draw()];
    const before = pixel(without, 27, 20);
    expect(pixel(with_, 27, 20)).toEqual(before.map((value, c) => Math.round((value + ORANGE[c]!) / 2)));
    for (const [x, y] of [
      [40, 20],
      [10, 20],
      [27, 35],
    ] as const)
      expect(pixel(with_, x, y)).toEqual(pixel(without, x, y));
  });

  test('the line runs inside the box: top, bottom, left, right; all else is untouched', async () => {
    const out = await decodeImage(await rendered(canvas(400, 200), [box(0.25, 0.5, 0.75, 0.8)]));
    expect([out.width, out.height]).toEqual([400, 200]);
    for (const [x, y] of [
      [250, 50],
      [250, 149],
      [200, 100],
      [319, 100],
    ] as const)
      expect(pixel(out, x, y)).toEqual(ORANGE);
    for (const [x, y] of [
      [250, 100],
      [100, 100],
      [250, 20],
      [250, 180],
      [350, 100],
    ] as const)
      expect(pixel(out, x, y)).toEqual([40, 40, 40]);
  });

  test('no boxes: the same pixels', async () => {
    const noise = rgbImage(
      16,
      9,
      Uint8Array.from({ length: 16 * 9 * 3 }, (_, i) => (i * 7919) & 255),
    );
    expect(await decodeImage(await rendered(noise, []))).toEqual(noise);
  });

  test('pixels far from the boxes keep every value', async () => {
    const noise = rgbImage(
      64,
      64,
      Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) & 255),
    );
    const out = await decodeImage(await rendered(noise, [box(0, 0, 0.25, 0.25)]));
    expect(out.data.subarray(20 * 64 * 3)).toEqual(noise.data.subarray(20 * 64 * 3));
  });

  test('lines grow with the picture', async () => {
    const thickness = async (side: number) => {
      const out = await decodeImage(await rendered(canvas(side, side), [box(0.2, 0.2, 0.8, 0.8)]));
      let count = 0;
      for (let y = 0; y < side / 2; y++) if (pixel(out, side >> 1, y).join() === ORANGE.join()) count++;
      return count;
    };
    expect([await thickness(100), await thickness(1600)]).toEqual([1, 8]);
  });

  test('labels are written, a colour for each, without any font', async () => {
    const out = await decodeImage(
      await rendered(canvas(400, 400), [
        box(0.5, 0.1, 0.9, 0.4, 'cat'),
        box(0.5, 0.6, 0.9, 0.9, 'dog'),
        box(0.1, 0.6, 0.3, 0.9, 'cat'),
      ]),
    );
    expect(pixel(out, 80, 200)).toEqual(ORANGE);
    expect(pixel(out, 280, 200)).toEqual(BLUE);
    expect(pixel(out, 280, 40)).toEqual(ORANGE);
    // black letters on the plate above the first box
    const plate = Array.from({ length: 12 * 20 }, (_, i) => pixel(out, 40 + (i % 20), 188 + Math.floor(i / 20)).join());
    expect(plate.filter((p) => p === '0,0,0').length).toBeGreaterThan(20);
    expect(plate.filter((p) => p === ORANGE.join()).length).toBeGreaterThan(80);
  });

  test('boxes without extent, at the far corner and in a picture of one pixel', async () => {
    const out = await decodeImage(await rendered(canvas(100, 100), [box(1, 1, 1, 1), box(0.5, 0.2, 0.5, 0.6)]));
    expect(pixel(out, 98, 98)).toEqual(ORANGE);
    // without names they have a colour each
    expect(pixel(out, 40, 50)).toEqual(BLUE);
    expect((await decodeImage(await rendered(canvas(1, 1), [box(0, 0, 1, 1, 'long label')]))).width).toBe(1);
  });

  test('any label gives a picture: markup, control characters, lone surrogates', async () => {
    const label = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.constantFrom('</svg><script>', '&amp;&bogus;', ']]>', '\u0000\u0007\u001b[31m', '\ud800', '猫\u202eevil'),
    );
    await fc.assert(
      fc.asyncProperty(label, async (text) => {
        expect((await rendered(canvas(60, 40), [box(0.1, 0.1, 0.9, 0.9, text)])).length).toBeGreaterThan(50);
      }),
      { numRuns: 30 },
    );
  });

  test('a side that the renderer cannot draw', async () => {
    await expect(rendered(canvas(32_768, 1), [])).rejects.toBeInstanceOf(BadInputError);
    expect((await rendered(canvas(32_767, 1), [box(0, 0, 1, 1)])).length).toBeGreaterThan(50);
  });
});

describe('boxOverlay', () => {
  test('labels are escaped', () => {
    const svg = overlay([box(0, 0, 1, 1, '猫<image href="file:///etc/passwd"/>')], 2000, 2000);
    expect(svg).not.toContain('<image');
    expect(svg).toContain('猫&lt;image');
    expect(overlay([box(0, 0, 1, 1, `猫 & "a" 'b'`)], 2000, 2000)).toContain('猫 &amp; &quot;a&quot; &#39;b&#39;');
  });

  test('labels of boxes in one place do not cover one another, and stay in the picture', () => {
    const svg = overlay(
      ['a', 'b', 'c', 'd'].map((label) => box(0.4, 0.4, 0.8, 0.8, label)),
      500,
      500,
    );
    const plates = [...svg.matchAll(/<rect x="(\d+)" y="(-?\d+)" width="(\d+)" height="(\d+)" fill="#/g)].map((m) =>
      m.slice(1).map(Number),
    );
    expect(plates).toHaveLength(4);
    expect(new Set(plates.map(([, y]) => y)).size).toBe(4);
    for (const [x, y, w, h] of plates) expect(x! >= 0 && y! >= 0 && x! + w! <= 500 && y! + h! <= 500).toBe(true);
  });

  test('accents fall off rather than the letter', () => {
    const path = (label: string) => overlay([box(0, 0, 1, 1, label)], 300, 300);
    expect(path('café')).toBe(path('cafe'));
    expect(path('café')).not.toContain('<text');
  });
});

describe('drawBoxes', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pgconv-draw-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('writes a PNG, over an older one, and leaves nothing else', async () => {
    const file = join(folder, 'out.png');
    await writeFile(file, 'old');
    await drawBoxes(canvas(50, 40), on(50, 40, [box(0, 0, 1, 1, 'all')]), file);
    expect((await readFile(file)).subarray(1, 4).toString()).toBe('PNG');
    expect((await decodeImage(file)).width).toBe(50);
    expect(await readdir(folder)).toEqual(['out.png']);
  });

  test('no folder, a folder in its place', async () => {
    const missing = await drawBoxes(canvas(5, 5), [], join(folder, 'none/out.png')).catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(OutputError);
    expect(missing).toMatchObject({ code: 'parent_missing', place: { file: join(folder, 'none/out.png') } });
    await mkdir(join(folder, 'taken/inside'), { recursive: true });
    await expect(drawBoxes(canvas(5, 5), [], join(folder, 'taken'))).rejects.toBeInstanceOf(OutputError);
    expect((await readdir(folder)).toSorted()).toEqual(['out.png', 'taken']);
  });
});

import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';
import { decodeImage } from './decode.ts';
import { resizePillow } from '../../backends/client/images/resize_pillow.ts';
import { resizeBilinear } from '../../backends/client/images/resize_bilinear.ts';
import { rgbImage, type RgbImage } from '../../backends/client/images/rgb_image.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');
const SIZES = [
  [31, 40],
  [31, 7],
  [5, 40],
  [1, 1],
  [112, 112],
  [17, 53],
  [64, 3],
  [30, 39],
] as const;
/**
 * In [0, 255]. jax places samples in f32, with or without fused multiply-add as it was compiled: an ulp of 40 pixels,
 * 4e-6, of a step of up to 255.
 */
const BILINEAR = 5e-4;

const picture = fc
  .tuple(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 24 }))
  .chain(([width, height]) =>
    fc
      .uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 })
      .map((data) => rgbImage(width, height, data)),
  );
const side = fc.integer({ min: 1, max: 40 });

/** Columns become rows. */
function transposed({ width, height, data }: RgbImage): RgbImage {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) out[(x * height + y) * 3 + c] = data[(y * width + x) * 3 + c]!;
  return rgbImage(height, width, out);
}

describe('resizes of a 40×31 picture', () => {
  let reference: SafetensorsFile;
  let noise: RgbImage;
  beforeAll(async () => {
    reference = await openSafetensors(join(FOLDER, 'reference.safetensors'));
    noise = await decodeImage(join(FOLDER, 'noise_40x31.png'));
  });
  afterAll(() => reference.close());

  test.each(SIZES)('bicubic to %i×%i (rows × columns) is bit-exact with Pillow', async (height, width) => {
    const expected = await readTensor(reference.tensors.get(`bicubic/${height}x${width}`)!);
    const actual = resizePillow(noise, width, height, 'bicubic');
    expect([actual.height, actual.width, 3]).toEqual(expected.shape);
    expect(Array.from(actual.data)).toEqual(Array.from(expected.data, Number));
  });

  test.each(SIZES)('bilinear to %i×%i (rows × columns) is that of jax', async (height, width) => {
    const expected = Array.from((await readTensor(reference.tensors.get(`bilinear/${height}x${width}`)!)).data, Number);
    const actual = resizeBilinear(noise, width, height);
    expect(actual.length).toBe(expected.length);
    expect(actual.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0)).toBeLessThan(BILINEAR);
  });

  test('a result of the same size is a copy', () => {
    const copy = resizePillow(noise, 40, 31, 'bicubic');
    copy.data.fill(0);
    expect(noise.data.some((v) => v !== 0)).toBe(true);
  });
});

describe('properties', () => {
  test('a constant picture stays constant', () => {
    fc.assert(
      fc.property(
        side,
        side,
        side,
        side,
        fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: 0, max: 255 }))),
        (w, h, toW, toH, color) => {
          const flat = rgbImage(
            w,
            h,
            Uint8Array.from({ length: w * h * 3 }, (_, i) => color[i % 3]!),
          );
          expect(resizePillow(flat, toW, toH, 'bicubic').data.every((v, i) => v === color[i % 3])).toBe(true);
          expect(resizeBilinear(flat, toW, toH).every((v, i) => Math.abs(v - color[i % 3]!) < 1e-4)).toBe(true);
        },
      ),
    );
  });

  test('bilinear stays within the range of the picture, channel by channel', () => {
    fc.assert(
      fc.property(picture, side, side, (image, width, height) => {
        const out = resizeBilinear(image, width, height);
        for (let c = 0; c < 3; c++) {
          const channel = image.data.filter((_, i) => i % 3 === c);
          const [low, high] = [Math.min(...channel), Math.max(...channel)];
          expect(out.every((v, i) => i % 3 !== c || (v >= low - 1e-4 && v <= high + 1e-4))).toBe(true);
        }
      }),
    );
  });

  test('rows and columns are treated alike', () => {
    fc.assert(
      fc.property(picture, side, side, (image, width, height) => {
        const straight = resizeBilinear(image, width, height);
        const turned = resizeBilinear(transposed(image), height, width);
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            expect(Math.abs(straight[(y * width + x) * 3]! - turned[(x * height + y) * 3]!)).toBeLessThan(1e-4);
      }),
    );
  });

  test('channels do not mix', () => {
    fc.assert(
      fc.property(picture, side, side, (image, width, height) => {
        const swapped = rgbImage(
          image.width,
          image.height,
          Uint8Array.from(image.data, (_, i) => image.data[i - (i % 3) + (2 - (i % 3))]!),
        );
        const out = resizePillow(image, width, height, 'bicubic').data;
        expect(resizePillow(swapped, width, height, 'bicubic').data).toEqual(
          Uint8Array.from(out, (_, i) => out[i - (i % 3) + (2 - (i % 3))]!),
        );
      }),
    );
  });
});

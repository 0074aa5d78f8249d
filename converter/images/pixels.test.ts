import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';
import { decodeImage } from './decode.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import { PIXEL_MODES, PROCESSORS } from '../../backends/client/images/processor.ts';
import { rgbImage } from '../../backends/client/images/rgb_image.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');
const NAMES = ['checker_224x224', 'drawing_111x257', 'gradient_300x200', 'gray_77x50', 'noise_40x31', 'rgba_90x60'];
/**
 * jax places samples in f32, fused multiply-add or not: an ulp of 40 pixels, 4e-6, of the contrast between neighbours.
 * Measured: 1.8e-6.
 */
const BIG_VISION = 4e-6;

describe('pixel values are those of the references', () => {
  let goldens: SafetensorsFile;
  beforeAll(async () => {
    goldens = await openSafetensors(join(FOLDER, 'pixels.safetensors'));
  });
  afterAll(() => goldens.close());
  const golden = async (name: string) => Float32Array.from((await readTensor(goldens.tensors.get(name)!)).data, Number);

  test.each(NAMES)('huggingface, %s: every bit', async (name) => {
    const actual = toPixelValues(await decodeImage(join(FOLDER, `${name}.png`)), 112, PROCESSORS.huggingface);
    expect(furthest(actual, await golden(`${name}.hf_pil`))).toBe(0);
  });

  test.each(NAMES)('bigvision, %s', async (name) => {
    const actual = toPixelValues(await decodeImage(join(FOLDER, `${name}.png`)), 112, PROCESSORS.bigvision);
    expect(furthest(actual, channelsFirst(await golden(`${name}.bv_float`)))).toBeLessThan(BIG_VISION);
  });

  test('the goldens tell swapped axes, swapped channels and the two modes apart', async () => {
    const expected = await golden('drawing_111x257.hf_pil');
    const image = await decodeImage(join(FOLDER, 'drawing_111x257.png'));
    const n = 112 * 112;
    const actual = toPixelValues(image, 112, PROCESSORS.huggingface);
    const transposed = Float32Array.from(
      actual,
      (_, i) => actual[i - (i % n) + (i % 112) * 112 + Math.floor((i % n) / 112)]!,
    );
    const bgr = Float32Array.from(actual, (_, i) => actual[(2 - Math.floor(i / n)) * n + (i % n)]!);
    const mirrored = Float32Array.from(actual, (_, i) => actual[i - (i % 112) + 111 - (i % 112)]!);
    for (const wrong of [transposed, bgr, mirrored, toPixelValues(image, 112, PROCESSORS.bigvision)])
      expect(furthest(wrong, expected)).toBeGreaterThan(0.1);
  });
});

describe('layout and range', () => {
  // left red, right blue, a green bottom row: asymmetric in position and in colour
  const image = rgbImage(2, 3, Uint8Array.of(255, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 255, 0));

  test.each(PIXEL_MODES)('%s: [channel, row, column]', (mode) => {
    const values = toPixelValues(image, 6, PROCESSORS[mode]);
    const at = (c: number, y: number, x: number) => values[(c * 6 + y) * 6 + x]!;
    expect(values.length).toBe(3 * 6 * 6);
    expect([at(0, 0, 0), at(1, 0, 0), at(2, 0, 0)]).toEqual([1, -1, -1]);
    expect([at(0, 0, 5), at(1, 0, 5), at(2, 0, 5)]).toEqual([-1, -1, 1]);
    expect([at(0, 5, 0), at(1, 5, 0), at(2, 5, 5)]).toEqual([-1, 1, -1]);
  });

  test.each(PIXEL_MODES)('%s: within [-1, 1], constant stays constant', (mode) => {
    const side = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(
        side,
        side,
        side,
        fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
        fc.integer({ min: 0, max: 255 }),
        (w, h, size, stream, grey) => {
          const values = toPixelValues(rgbImage(w, h, Uint8Array.from(stream.take(w * h * 3))), size, PROCESSORS[mode]);
          expect(values.every((v) => v >= -1 && v <= 1)).toBe(true);
          const flat = toPixelValues(rgbImage(w, h, new Uint8Array(w * h * 3).fill(grey)), size, PROCESSORS[mode]);
          expect(flat.every((v) => Math.abs(v - (grey / 127.5 - 1)) < 1e-6)).toBe(true);
        },
      ),
    );
  });

  test('black, white and the size', () => {
    const ends = rgbImage(1, 1, Uint8Array.of(0, 255, 128));
    for (const mode of PIXEL_MODES)
      expect([...toPixelValues(ends, 1, PROCESSORS[mode])].map((v) => Math.round(v * 1e4) / 1e4)).toEqual([
        -1, 1, 0.0039,
      ]);
    for (const size of [0, -1, 1.5, Number.NaN])
      expect(() => toPixelValues(ends, size, PROCESSORS.huggingface)).toThrow(RangeError);
  });
});

function channelsFirst(pixels: Float32Array): Float32Array {
  const n = pixels.length / 3;
  return Float32Array.from(pixels, (_, i) => pixels[(i % n) * 3 + Math.floor(i / n)]!);
}

function furthest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);
}

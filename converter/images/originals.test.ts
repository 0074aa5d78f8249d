import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exifOrientation, withoutOrientation } from '../../backends/client/images/exif_orientation.ts';
import { PILLOW_FILTERS } from '../../backends/client/images/pillow_filters.ts';
import { pixelValues } from '../../backends/client/images/picture.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import { PROCESSORS, processorFrom } from '../../backends/client/images/processor.ts';
import { resizePillow } from '../../backends/client/images/resize_pillow.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';
import { decodeImage } from './decode.ts';

/* What transformers and Pillow make of pictures and of a processor's fields: fixtures/preprocess/processors.py. */

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');

let goldens: SafetensorsFile;
let noise: RgbImage;
beforeAll(async () => {
  goldens = await openSafetensors(join(FOLDER, 'processors.safetensors'));
  noise = await decodeImage(join(FOLDER, 'noise_40x31.png'));
});
afterAll(() => goldens.close());

async function golden(name: string): Promise<{ shape: readonly number[]; data: readonly number[] }> {
  const { shape, data } = await readTensor(goldens.tensors.get(name)!);
  return { shape, data: Array.from(data, Number) };
}

describe('EXIF', () => {
  test('turns a picture for Hugging Face as load_image does, and leaves it as stored for big_vision', async () => {
    const files = await readdir(join(FOLDER, 'exif'));
    expect(files.length).toBe([...goldens.tensors.keys()].filter((name) => name.startsWith('turned/')).length);
    for (const name of files)
      for (const [mode, whose] of [
        ['huggingface', 'turned'],
        ['bigvision', 'stored'],
      ] as const) {
        const { width, height, data } = await decodeImage(join(FOLDER, 'exif', name), { mode });
        const expected = await golden(`${whose}/${name}`);
        expect([height, width, 3], `${name} ${mode}`).toEqual(expected.shape);
        const furthest = data.reduce((most, v, i) => Math.max(most, Math.abs(v - expected.data[i]!)), 0);
        expect(furthest, `${name} ${mode}`).toBeLessThanOrEqual(name.endsWith('.jpg') ? 1 : 0);
      }
  });

  test('is gone from what a browser is given to decode: it would turn the picture too', async () => {
    for (const name of await readdir(join(FOLDER, 'exif'))) {
      const file = await readFile(join(FOLDER, 'exif', name));
      const bare = withoutOrientation(file);
      expect(exifOrientation(bare), name).toBe(1);
      const stored = await decodeImage(bare, { name });
      // a TIFF is turned by what it says
      if (!name.endsWith('.tiff')) expect(stored, name).toEqual(await decodeImage(file, { mode: 'bigvision' }));
      expect(bare === file, name).toBe(exifOrientation(file) === 1);
    }
  });

  test('that is damaged anywhere throws nothing', async () => {
    for (const name of ['6.jpg', '5.png', '6.webp', '7.tiff', 'big_endian.jpg']) {
      const file = await readFile(join(FOLDER, 'exif', name));
      for (let at = 0; at < file.length; at++) {
        const broken = Uint8Array.from(file);
        broken[at]! ^= 0xff;
        for (const bytes of [broken, file.subarray(0, at)]) {
          const orientation = exifOrientation(bytes);
          expect(orientation >= 1 && orientation <= 8, `${name} at ${at}`).toBe(true);
          withoutOrientation(bytes);
        }
      }
    }
  });

  test('a runtime has the pixels of the command line', async () => {
    for (const name of ['6.jpg', '7.png', '5.webp', '6.tiff'])
      for (const processor of Object.values(PROCESSORS)) {
        const file = join(FOLDER, 'exif', name);
        const image = await decodeImage(file, { mode: processor.mode });
        expect(await pixelValues(file, 8, processor), name).toEqual(toPixelValues(image, 8, processor));
      }
  });
});

test.each([...PILLOW_FILTERS.entries()])('resample %i, %s: every bit of Pillow', async (number, filter) => {
  const names = [...goldens.tensors.keys()].filter((name) => name.startsWith(`resample/${number}/`));
  expect(names).toHaveLength(5);
  for (const name of names) {
    const { shape, data } = await golden(name);
    const found = resizePillow(noise, shape[1]!, shape[0]!, filter);
    expect(Buffer.compare(Buffer.from(found.data), Buffer.from(data)), name).toBe(0);
  }
});

describe('fields of a processor', () => {
  const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
  test.each(
    Object.entries({
      imagenet: IMAGENET,
      imagenet_lanczos: { ...IMAGENET, resample: 1 },
      not_normalized: { do_normalize: false },
      not_scaled: { do_rescale: false, image_mean: [127.5, 100, 90], image_std: [127.5, 50, 60] },
      neither: { do_rescale: false, do_normalize: false },
      other_scale: { rescale_factor: 1 / 127.5, image_mean: 1, image_std: 1 },
    }),
  )('%s: every bit of transformers', async (name, fields) => {
    const found = toPixelValues(noise, 14, processorFrom('huggingface', fields, 'preprocessor_config.json'));
    expect([...found]).toEqual((await golden(`processor/${name}`)).data);
  });

  test('big_vision resizes its own way, and obeys the others', () => {
    const own = processorFrom('bigvision', { resample: 1 }, 'x');
    expect(own).toEqual(PROCESSORS.bigvision);
    const usual = toPixelValues(noise, 14, own);
    const shifted = toPixelValues(noise, 14, processorFrom('bigvision', { image_mean: 0.25 }, 'x'));
    expect(Math.max(...shifted.map((x, i) => Math.abs(x - usual[i]! - 0.5)))).toBeLessThan(1e-6);
  });

  test('do_resize false: the picture must have the size', () => {
    const still = processorFrom('huggingface', { do_resize: false }, 'x');
    expect(() => toPixelValues(noise, 14, still)).toThrow(expect.objectContaining({ code: 'bad_input' }));
    const small = resizePillow(noise, 14, 14, 'bicubic');
    expect(toPixelValues(small, 14, still)).toEqual(toPixelValues(noise, 14, PROCESSORS.huggingface));
  });

  test('that mean nothing are refused, and null is as good as absent', () => {
    expect(processorFrom('huggingface', { resample: null, image_mean: null, do_resize: null }, 'x')).toEqual(
      PROCESSORS.huggingface,
    );
    for (const fields of [
      { image_std: [1, 0, 1] },
      { image_std: 0 },
      { image_mean: [1, 2] },
      { image_mean: ['a', 1, 1] },
      { image_mean: 'half' },
      { resample: 6 },
      { resample: 'bicubic' },
      { rescale_factor: '1/255' },
      { do_resize: 'no' },
    ])
      for (const mode of ['huggingface', 'bigvision'] as const)
        expect(() => processorFrom(mode, fields, 'x'), JSON.stringify(fields)).toThrow(
          expect.objectContaining({ code: 'damaged' }),
        );
  });
});

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';
import { BadInputError } from '../errors.ts';
import { pixelValues } from '../../backends/client/images/picture.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { decodeImage, type DecodeOptions } from './decode.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');

/**
 * Largest difference to Pillow in steps of 8 bits. Lossless formats have no excuse. The lossy decoders may round
 * differently (inverse DCT, chroma interpolation): with the libjpeg and libwebp that sharp carries today every
 * difference is 0, but a release may change them.
 */
const LOSSLESS = 0;
const LOSSY = 1;

describe("decodes as Pillow's convert('RGB')", () => {
  let reference: SafetensorsFile;
  beforeAll(async () => {
    reference = await openSafetensors(join(FOLDER, 'reference.safetensors'));
  });
  afterAll(() => reference.close());

  test.each([
    'bilevel.png',
    'gamma.png',
    'grey.png',
    'greyalpha.png',
    'greyalpha16.png',
    'palette.png',
    'palette_transparent.png',
    'profile.png',
    'rgb16.png',
    'rgb_transparent.png',
    'rgba.png',
    'rgba16.png',
    'rgb.gif',
    'rgb.tiff',
    'cmyk.tiff',
    'rgba.webp',
    'lossy.webp',
    'cmyk.jpg',
    'chroma420.jpg',
    'exif6.jpg',
    'grey.jpg',
    'profile.jpg',
    'progressive.jpg',
  ])('%s', async (name) => {
    const image = await decodeImage(join(FOLDER, 'decode', name));
    const expected = await readTensor(reference.tensors.get(`decode/${name}`)!);
    expect([image.height, image.width, 3]).toEqual(expected.shape);
    expect(furthest(image.data, expected.data)).toBeLessThanOrEqual(/\.jpg$|lossy/.test(name) ? LOSSY : LOSSLESS);
  });

  test('a JPEG with sharp edges in strong colours', async () => {
    const { data } = await decodeImage(join(FOLDER, 'drawing_111x257.jpg'));
    expect(furthest(data, (await readTensor(reference.tensors.get('drawing_111x257.jpg')!)).data)).toBeLessThanOrEqual(
      LOSSY,
    );
  });

  test('the references cover every picture but 16-bit grey, where Pillow saturates', () => {
    expect([...reference.tensors.keys()].filter((name) => name.startsWith('decode/'))).toHaveLength(23);
  });

  test('16-bit grey keeps its high byte, as 16-bit colour does', async () => {
    const grey = await decodeImage(join(FOLDER, 'decode/grey16.png'));
    const color = await decodeImage(join(FOLDER, 'decode/rgb16.png'));
    const red = color.data.filter((_, i) => i % 3 === 0);
    expect(grey.data.filter((_, i) => i % 3 === 0)).toEqual(red);
    expect(grey.data.filter((_, i) => i % 3 === 2)).toEqual(red);
  });

  test('turns by EXIF only when asked', async () => {
    const stored = await decodeImage(join(FOLDER, 'decode/exif6.jpg'));
    const turned = await decodeImage(join(FOLDER, 'decode/exif6.jpg'), { mode: 'huggingface' });
    expect([stored.width, stored.height, turned.width, turned.height]).toEqual([17, 12, 12, 17]);
    // orientation 6: the stored left column becomes the top row, from the bottom up
    expect([...turned.data.subarray(0, 3)]).toEqual([...stored.data.subarray(11 * 17 * 3, 11 * 17 * 3 + 3)]);
  });

  test.each([
    'transparent',
    'local_palette',
    'interlaced',
    'smaller',
    'smaller_transparent',
    'frames',
    'greys',
    'many_codes',
    'two_colors',
    'no_palette',
  ])('gif/%s.gif', async (name) => {
    const { width, height, data } = await decodeImage(join(FOLDER, `gif/${name}.gif`));
    const expected = await readFile(join(FOLDER, `gif/${name}.ppm`));
    expect(Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]).equals(expected)).toBe(true);
  });

  test('of every picture here the runtimes have the same pixels', async () => {
    const folders = ['', 'decode', 'gif'].map((name) => join(FOLDER, name));
    const files = (await Promise.all(folders.map(async (dir) => (await readdir(dir)).map((name) => join(dir, name)))))
      .flat()
      .filter((file) => /\.(png|jpg|gif|tiff|webp)$/.test(file) && !file.endsWith('float.tiff'));
    expect(files.length).toBeGreaterThan(35);
    for (const file of files)
      for (const mode of ['huggingface', 'bigvision'] as const)
        expect(await pixelValues(file, 14, PROCESSORS[mode]), file).toEqual(
          toPixelValues(await decodeImage(file, { mode }), 14, PROCESSORS[mode]),
        );
  });

  test('bytes read as the file does', async () => {
    const path = join(FOLDER, 'noise_40x31.png');
    expect(await decodeImage(await readFile(path))).toEqual(await decodeImage(path));
  });
});

describe('refuses with a typed error and a way out', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pgconv-decode-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('missing file, folder', async () => {
    const path = join(folder, 'none.png');
    const error = await refusal(path);
    expect([error.code, error.place.file]).toEqual(['image_missing', path]);
    expect((await refusal(folder)).code).toBe('not_a_file');
  });

  test('empty file, no picture, SVG, pixels that are no RGB', async () => {
    const path = join(folder, 'empty.png');
    await writeFile(path, '');
    expect((await refusal(path)).code).toBe('image_empty');
    expect((await refusal(Buffer.from('<html>404</html>'))).code).toBe('not_an_image');
    expect((await refusal(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'))).code).toBe(
      'image_unsupported',
    );
    const float = await refusal(join(FOLDER, 'decode/float.tiff'));
    expect([float.code, float.message]).toEqual(['image_unsupported', expect.stringContaining('float')]);
  });

  test.each([
    'noise_40x31.png',
    'drawing_111x257.jpg',
    'decode/rgba.webp',
    'decode/rgb.gif',
    'gif/transparent.gif',
    'decode/rgb.tiff',
  ])('%s cut in half', async (name) => {
    const bytes = await readFile(join(FOLDER, name));
    expect(['image_damaged', 'not_an_image']).toContain(
      (await refusal(bytes.subarray(0, bytes.length >> 1), { name: 'cut' })).code,
    );
  });

  test('more pixels than the limit, before decoding them', async () => {
    const bytes = await sharp({ create: { width: 400, height: 300, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const error = await refusal(bytes, { name: 'big.png', maxPixels: 119_999 });
    expect(error.code).toBe('image_too_large');
    expect(error.describe().join()).toContain('400×300');
    expect((await decodeImage(bytes, { maxPixels: 120_000 })).width).toBe(400);
  });
});

async function refusal(source: string | Uint8Array, options?: DecodeOptions): Promise<BadInputError> {
  const error: unknown = await decodeImage(source, options).catch((thrown: unknown) => thrown);
  if (!(error instanceof BadInputError)) throw new Error('expected a BadInputError', { cause: error });
  expect(error.place.hint).toBeTruthy();
  return error;
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number | bigint>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - Number(b[i]!)));
  return most;
}

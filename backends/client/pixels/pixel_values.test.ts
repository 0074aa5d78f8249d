import { expect, test } from 'vitest';
import { PROCESSORS } from '../images/processor.ts';
import { toPixelValues } from '../images/pixels.ts';
import { rgbImage } from '../images/rgb_image.ts';
import { pixelValues } from './pixel_values.ts';

const pictureOf = (width: number, height: number) =>
  rgbImage(
    width,
    height,
    Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919) & 255),
  );
const config = { size: { height: 14, width: 14 }, resample: 3 };

test('several pictures are a batch, each as the processor makes it', async () => {
  const pictures = [pictureOf(20, 31), pictureOf(9, 5)];
  const { data, dims } = await pixelValues(pictures, { config });
  expect(dims).toEqual([2, 3, 14, 14]);
  const each = pictures.map((picture) => toPixelValues(picture, 14, PROCESSORS.huggingface));
  expect(data).toEqual(Float32Array.from(each.flatMap((values) => [...values])));
});

test('pixels with alpha, as RawImage of transformers.js may have them; whose preprocessing, and its size', async () => {
  const picture = pictureOf(20, 31);
  const data = new Uint8ClampedArray(20 * 31 * 4);
  for (let i = 0; i < 20 * 31; i++) data.set([...picture.data.subarray(3 * i, 3 * i + 3), 7], 4 * i);
  const values = await pixelValues({ width: 20, height: 31, data }, { size: 28, reference: 'bigvision' });
  expect(values.dims).toEqual([1, 3, 28, 28]);
  expect(values.data).toEqual(toPixelValues(picture, 28, PROCESSORS.bigvision));
});

test.each([
  ['no size', {}, /size is undefined/],
  ['sides that differ', { config: { size: { height: 14, width: 15 } } }, /"width":15/],
  ['a shortest edge', { config: { size: { shortest_edge: 14 } } }, /shortest_edge/],
  ['no number', { config: { size: { height: '14', width: '14' } } }, /"14"/],
])('%s is refused', async (_, options, message) => {
  await expect(pixelValues(pictureOf(3, 3), options)).rejects.toMatchObject({
    code: 'bad_input',
    message: expect.stringMatching(message),
  });
});

test('a filter that is none is refused', async () => {
  await expect(pixelValues(pictureOf(3, 3), { config: { ...config, resample: 9 } })).rejects.toMatchObject({
    code: 'damaged',
  });
});

test('gray pixels, with alpha or without, are as those of three equal channels', async () => {
  const gray = Uint8Array.from({ length: 12 }, (_, i) => 20 * i);
  const of = (channels: number) => ({
    width: 4,
    height: 3,
    channels,
    data: Uint8Array.from({ length: 12 * channels }, (_, i) =>
      channels === 2 && i % 2 ? 9 : gray[Math.floor(i / channels)]!,
    ),
  });
  const { data } = await pixelValues(of(3), { config });
  for (const channels of [1, 2]) expect((await pixelValues(of(channels), { config })).data).toEqual(data);
});

test.each<[string, unknown, object]>([
  ['nothing', undefined, {}],
  ['a number', 5, {}],
  ['nothing in a list', [null], {}],
  ['no bytes', { width: 1, height: 1, data: new Float32Array(3) }, {}],
  ['a list of numbers', { width: 1, height: 1, data: [1, 2, 3] }, {}],
  ['half a pixel', { width: 1.5, height: 2, data: new Uint8Array(9) }, {}],
  ['other channels', { width: 3, height: 1, channels: 1, data: new Uint8Array(9) }, {}],
  ['a size of nothing', pictureOf(3, 3), { size: 0 }],
  ['a size that is a text', pictureOf(3, 3), { size: '14' }],
  ['nobody’s preprocessing', pictureOf(3, 3), { reference: 'foo' }],
])('%s is refused by a code', async (_, picture, options) => {
  await expect(pixelValues(picture as never, { config, ...options })).rejects.toMatchObject({
    code: 'bad_input',
  });
});

import { join } from 'node:path';
import { RawImage, SiglipImageProcessor, type Tensor } from '@huggingface/transformers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pixelValues } from '../../backends/client/pixels/index.ts';
import { readTensor } from '../../ir/tensor.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoints/safetensors.ts';

/* What transformers.js feeds a model, and what `pgconv/pixels` does, beside transformers' own in Python. */

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');
const NAMES = ['checker_224x224', 'drawing_111x257', 'gradient_300x200', 'noise_40x31'];
/** Of fixtures/preprocess/pixels.safetensors. */
const CONFIG = {
  size: { height: 112, width: 112 },
  do_resize: true,
  resample: 3,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};

let goldens: SafetensorsFile;
beforeAll(async () => {
  goldens = await openSafetensors(join(FOLDER, 'pixels.safetensors'));
});
afterAll(() => goldens.close());

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

test('pixels are the original’s to the bit, where transformers.js’s own are not', async () => {
  const processor = new SiglipImageProcessor(CONFIG);
  const theirs: Record<string, number> = {};
  for (const name of NAMES) {
    const image = await RawImage.read(join(FOLDER, `${name}.png`));
    const expected = Float32Array.from((await readTensor(goldens.tensors.get(`${name}.hf_pil`)!)).data, Number);
    const { data, dims } = await pixelValues(image, { config: CONFIG });
    expect(dims).toEqual([1, 3, 112, 112]);
    expect(furthest(data, expected), name).toBe(0);
    const { pixel_values } = (await processor(await RawImage.read(join(FOLDER, `${name}.png`)))) as {
      pixel_values: Tensor;
    };
    theirs[name] = furthest(pixel_values.data as Float32Array, expected);
  }
  console.log('transformers.js in Node from transformers in Python, at most:', theirs);
  expect(Math.max(...Object.values(theirs))).toBeGreaterThan(0.1);
});

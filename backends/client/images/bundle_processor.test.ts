import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSource } from '../sources/open_source.ts';
import { pixelValues } from './picture.ts';
import { processorOf } from './bundle_processor.ts';
import { PROCESSORS } from './processor.ts';

const of = (files: Readonly<Record<string, string>>) =>
  processorOf(
    openSource(new Map(Object.entries(files).map(([path, text]) => [path, new Blob([text])])), 'manifest.json'),
  );

test('a bundle says whose pictures and prompts it takes, and how', async () => {
  const manifest = (reference: string) => ({ 'manifest.json': JSON.stringify({ options: { reference } }) });
  expect(await of(manifest('bigvision'))).toEqual(PROCESSORS.bigvision);
  expect(await of(manifest('huggingface'))).toEqual(PROCESSORS.huggingface);
  expect(await of({})).toEqual(PROCESSORS.huggingface);
  await expect(of({ 'manifest.json': '{' })).rejects.toMatchObject({ code: 'damaged' });
  const processor = (text: string) => of({ ...manifest('huggingface'), 'preprocessor_config.json': text });
  // a checkpoint of Hugging Face's whose own processor is bilinear
  expect(await processor('{"resample": 2}')).toEqual({ ...PROCESSORS.huggingface, filter: 'bilinear' });
  expect(await processor('{"image_mean": [0.4, 0.5, 0.6], "do_rescale": false}')).toMatchObject({
    scale: undefined,
    normal: { mean: [0.4, 0.5, 0.6], deviation: [0.5, 0.5, 0.5] },
  });
  await expect(processor('{"image_std": 0}')).rejects.toMatchObject({ code: 'damaged' });
});

test('big_vision’s pixels are others', async () => {
  const file = join(import.meta.dirname, '../../../fixtures/preprocess/noise_40x31.png');
  expect(await pixelValues(file, 8, PROCESSORS.bigvision)).not.toEqual(await pixelValues(file, 8));
});

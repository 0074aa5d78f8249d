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

test('a bundle says whose pictures and prompts it takes', async () => {
  const manifest = (reference: string) => ({ 'manifest.json': JSON.stringify({ options: { reference } }) });
  expect(await of(manifest('bigvision'))).toBe('bigvision');
  expect(await of(manifest('huggingface'))).toBe('huggingface');
  expect(await of({})).toBe('huggingface');
  await expect(of({ 'manifest.json': '{' })).rejects.toMatchObject({ code: 'damaged' });
  // a checkpoint of Hugging Face's whose own processor is bilinear
  expect(await of({ ...manifest('huggingface'), 'preprocessor_config.json': '{"resample": 2}' })).toBe('huggingface');
});

test('big_vision’s pixels are others', async () => {
  const file = join(import.meta.dirname, '../../../fixtures/preprocess/noise_40x31.png');
  expect(await pixelValues(file, 8, PROCESSORS.bigvision)).not.toEqual(await pixelValues(file, 8));
});

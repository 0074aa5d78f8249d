import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelPaths } from './bundle_files.ts';

const DECODER = 'decoder_model_merged';
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-onnx-files-'));
  for (const folder of ['onnx', 'onnx-ort']) {
    await mkdir(join(dir, folder));
    for (const suffix of ['', '_fp16']) await writeFile(join(dir, folder, `${DECODER}${suffix}.onnx`), '');
  }
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** As converter/bundle writes it: the target is one of the options. */
const state = (precision: string, target: string) =>
  writeFile(join(dir, 'manifest.json'), JSON.stringify({ precision, options: { target } }));

it.each([
  ['fp32', 'portable', 'onnx/decoder_model_merged.onnx'],
  ['fp16', 'portable', 'onnx/decoder_model_merged_fp16.onnx'],
  ['fp32', 'ort-cpu', 'onnx-ort/decoder_model_merged.onnx'],
  ['fp16', 'ort-cuda', 'onnx-ort/decoder_model_merged_fp16.onnx'],
])('%s for %s is what its manifest states, where several lie in one folder', async (precision, target, path) => {
  await state(precision, target);
  expect(await (await modelPaths(dir))('decoder')).toBe(join(dir, path));
});

it('what the manifest states and is not there is missing, and not taken from elsewhere', async () => {
  await state('int4', 'ort-cpu');
  const paths = await modelPaths(dir);
  await expect(paths('decoder')).rejects.toMatchObject({ code: 'bundle-missing' });
});

it('a manifest that is no JSON is damage', async () => {
  await writeFile(join(dir, 'manifest.json'), '{');
  await expect(modelPaths(dir)).rejects.toMatchObject({ code: 'bundle-damaged' });
});

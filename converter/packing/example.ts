import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTensor, tensorData, tensorOf } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';

/** Cases with their pictures, of the fixture's 200: a picture is 25 kB. */
const CASES = 8;
/** Symmetric 8-bit codes: -127 … 127. */
const MOST = 127;

/**
 * Writes the example checkpoint: fixtures/shapes with matrices in 8 bits. Each row is rounded to `code · 2ᵉ`, which
 * bf16 has exactly, so any reader of bf16 checkpoints reads it, and packed it is half as large as bf16 is.
 */
export async function writeExample(fixture: string, dir: string): Promise<void> {
  const [model, images] = [join(dir, 'hf'), join(dir, 'images')];
  for (const made of [model, images]) await mkdir(made, { recursive: true });
  const checkpoint = await openCheckpoint(join(fixture, 'hf'));
  try {
    const tensors = [];
    for (const [name, data] of checkpoint.tensors) {
      const tensor = await readTensor(data);
      const values = Float32Array.from(tensor.data, Number);
      if (data.shape.length > 1) roundRows(values, values.length / data.shape[0]!);
      tensors.push({ name, data: castData(tensorData(tensorOf('f32', data.shape, values)), 'bf16') });
    }
    await writeSafetensors(join(model, 'model.safetensors'), tensors, { format: 'pt' });
  } finally {
    await checkpoint.close();
  }
  for (const name of ['generation_config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'])
    await copyFile(join(fixture, 'hf', name), join(model, name));
  const config = JSON.parse(await readFile(join(fixture, 'hf', 'config.json'), 'utf8')) as object;
  await writeFile(join(model, 'config.json'), `${JSON.stringify({ ...config, dtype: 'bfloat16' }, null, 2)}\n`);
  const { cases } = JSON.parse(await readFile(join(fixture, 'eval.json'), 'utf8')) as {
    readonly cases: readonly { readonly image: string }[];
  };
  // rounding changes none of these answers (package.slow.test.ts)
  const shown = cases.slice(0, CASES);
  for (const { image } of shown) await copyFile(join(fixture, 'images', image), join(images, image));
  await writeFile(join(dir, 'eval.json'), `${JSON.stringify({ cases: shown }, null, 1)}\n`);
}

/** Rounds each row to whole multiples of the least power of two that has its largest element in 8 bits. */
function roundRows(values: Float32Array, columns: number): void {
  for (let start = 0; start < values.length; start += columns) {
    const row = values.subarray(start, start + columns);
    const largest = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (largest === 0) continue;
    const step = 2 ** Math.ceil(Math.log2(largest / MOST));
    row.forEach((x, i) => (row[i] = Math.round(x / step) * step));
  }
}

import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tensorData, tensorOf, readTensor, type TensorData } from '../../ir/tensor.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { PgconvError } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';

const folder = tempFolders();
type Config = Record<string, unknown> & {
  text_config: Record<string, unknown>;
  vision_config: Record<string, unknown>;
};

/** A copy of pg1-tiny's Hugging Face folder, damaged, converted: what it said, and what it left. */
async function convertDamaged(damage: (dir: string) => Promise<void>, options: Partial<ConvertOptions> = {}) {
  const root = await folder();
  const dir = join(root, 'checkpoint');
  await cp('fixtures/pg1-tiny/hf', dir, { recursive: true });
  await damage(dir);
  const error = await convert(
    { checkpoint: dir, backend: 'onnx', precision: 'fp16', out: join(root, 'out'), verify: false, ...options },
    silentReporter,
  ).then(
    () => undefined,
    (e: unknown) => e,
  );
  return { error, dir, left: (await readdir(root)).filter((name) => name !== 'checkpoint') };
}

async function editConfig(dir: string, edit: (config: Config) => void): Promise<void> {
  const file = join(dir, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Config;
  edit(config);
  await writeFile(file, JSON.stringify(config));
}

/** Rewrites the shard that holds `name` with another tensor in its place, or without it. */
async function replaceTensor(
  dir: string,
  name: string,
  replacement: ((data: TensorData) => Promise<TensorData>) | undefined,
): Promise<void> {
  const index = join(dir, 'model.safetensors.index.json');
  const { weight_map: map, metadata } = JSON.parse(await readFile(index, 'utf8')) as {
    weight_map: Record<string, string>;
    metadata: Record<string, unknown>;
  };
  const path = join(dir, map[name]!);
  const file = await openSafetensors(path);
  const tensors = [];
  for (const [key, data] of file.tensors) {
    const kept = key === name ? await replacement?.(data) : tensorData(await readTensor(data));
    if (kept) tensors.push({ name: key, data: kept });
  }
  await file.close();
  await writeSafetensors(path, tensors);
  if (!replacement) delete map[name];
  await writeFile(index, JSON.stringify({ metadata, weight_map: map }));
}

const PROJECTOR = 'multi_modal_projector.linear.weight';
const DOWN = 'language_model.model.layers.1.mlp.down_proj.weight';
const GATE = 'language_model.model.layers.2.mlp.gate_proj.weight';
const UP = 'language_model.model.layers.2.mlp.up_proj.weight';
const filled = (value: number) => async (data: TensorData) => {
  const tensor = await readTensor(data);
  const values = tensor.data.slice();
  values[3] = value;
  return tensorData({ ...tensor, data: values });
};

describe('a bad checkpoint gets a named error with its place and the way out, and leaves nothing', () => {
  test.each<[string, string, (dir: string) => Promise<void>, Partial<ConvertOptions>, RegExp]>([
    [
      'hidden_size 1e12',
      'bad_config',
      (dir) => editConfig(dir, (c) => (c.text_config['hidden_size'] = 1e12)),
      {},
      /text_config\.hidden_size/,
    ],
    [
      'num_hidden_layers -1',
      'bad_config',
      (dir) => editConfig(dir, (c) => (c.text_config['num_hidden_layers'] = -1)),
      {},
      /num_hidden_layers/,
    ],
    [
      'num_hidden_layers of another model',
      'config_mismatch',
      (dir) => editConfig(dir, (c) => (c.text_config['num_hidden_layers'] = 18)),
      {},
      /18.*says 3/,
    ],
    [
      'image_size of another model',
      'config_mismatch',
      (dir) => editConfig(dir, (c) => (c.vision_config['image_size'] = 448)),
      {},
      /448.*says 56/,
    ],
    [
      'head_dim that divides nothing',
      'config_mismatch',
      (dir) => editConfig(dir, (c) => (c.text_config['head_dim'] = 48)),
      {},
      /head_dim 48/,
    ],
    [
      'a missing tensor',
      'missing_tensor',
      (dir) => replaceTensor(dir, DOWN, undefined),
      {},
      /layers\.1\.mlp\.down_proj/,
    ],
    [
      'a tensor of another shape',
      'shape_mismatch',
      (dir) => replaceTensor(dir, PROJECTOR, async () => tensorData(tensorOf('f32', [4, 4], new Float32Array(16)))),
      {},
      /\[4, 4\]/,
    ],
    [
      'an integer weight',
      'unsupported_dtype',
      (dir) =>
        replaceTensor(dir, PROJECTOR, async ({ shape }) =>
          tensorData(tensorOf('i32', shape, new Float32Array(64 * 48))),
        ),
      {},
      /i32/,
    ],
    [
      'a truncated shard',
      'file_truncated',
      (dir) => truncate(join(dir, 'model-00002-of-00004.safetensors'), 200_000),
      {},
      /200000|289056/,
    ],
    [
      'a weight beyond f16',
      'weight_overflow',
      (dir) => replaceTensor(dir, DOWN, filled(1e6)),
      { calibrate: 'none' },
      /lm\.1\.down/,
    ],
    [
      'NaN under --strict',
      'weight_not_finite',
      (dir) => replaceTensor(dir, GATE, filled(Number.NaN)),
      { strict: true },
      /lm\.2\.gate/,
    ],
    [
      'no config and a head_dim that is not the default',
      'config_mismatch',
      (dir) => rm(join(dir, 'config.json')),
      {},
      /head_dim 256/,
    ],
    ['a tokenizer that is none', 'bad_', (dir) => writeFile(join(dir, 'tokenizer.json'), '{"model": 1'), {}, /./],
  ])('%s', async (_, code, damage, options, message) => {
    const { error, left } = await convertDamaged(damage, options);
    expect(error).toBeInstanceOf(PgconvError);
    const { exitCode, place, message: text, code: actual } = error as PgconvError;
    expect(actual).toContain(code);
    expect(exitCode).toBe(3);
    expect(`${text} ${place.tensor ?? ''}`).toMatch(message);
    expect(place.hint).toBeTruthy();
    expect(left).toEqual([]);
  });

  test('config.json of PaliGemma 2 beside the weights of PaliGemma 1', async () => {
    const { error, left } = await convertDamaged(async (dir) => {
      const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as { text_config: object };
      await writeFile(
        join(dir, 'config.json'),
        JSON.stringify({ ...config, text_config: { ...config.text_config, model_type: 'gemma2' } }),
      );
    });
    expect(error).toMatchObject({ code: 'config_mismatch', exitCode: 3 });
    expect((error as Error).message).toContain('pre_feedforward_layernorm');
    expect(left).toEqual([]);
  });
});

test('NaN without --strict, and overflow with --allow-overflow, are counted and reported', async () => {
  const root = await folder();
  const dir = join(root, 'checkpoint');
  await cp('fixtures/pg1-tiny/hf', dir, { recursive: true });
  await replaceTensor(dir, GATE, filled(Number.NaN));
  await replaceTensor(dir, DOWN, filled(-1e6));
  const warned: string[] = [];
  const { nonFinite } = await convert(
    {
      checkpoint: dir,
      backend: 'onnx',
      precision: 'fp16',
      out: join(root, 'out'),
      verify: false,
      allowOverflow: true,
      calibrate: 'none',
    },
    { ...silentReporter, warn: (text) => void warned.push(text) },
  );
  expect(warned.join('\n')).toMatch(/lm\.1\.down.*1 weights do not fit f16/);
  expect(warned.join('\n')).toMatch(/lm\.2\.gate.*1 weights are NaN/);
  expect(nonFinite).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ tensor: expect.stringContaining('lm.2.gate') as string, nan: 1, infinite: 0 }),
      expect.objectContaining({
        tensor: expect.stringContaining('lm.1.down') as string,
        nan: 0,
        infinite: 1,
        overflowed: 1,
      }),
    ]),
  );
});

test('weights beyond f16 are found in what shaders read, where several matrices lie together', async () => {
  const both = async (dir: string) => {
    await replaceTensor(dir, GATE, filled(Number.POSITIVE_INFINITY));
    await replaceTensor(dir, UP, filled(-1e6));
  };
  const { error, left } = await convertDamaged(both, { backend: 'wgsl' });
  expect(error).toMatchObject({
    code: 'weight_overflow',
    exitCode: 3,
    place: { tensor: expect.stringMatching(/lm\.2\.gate.*\+lm\.2\.up/) },
  });
  expect(left).toEqual([]);
  const root = await folder();
  await cp('fixtures/pg1-tiny/hf', join(root, 'checkpoint'), { recursive: true });
  await both(join(root, 'checkpoint'));
  const { nonFinite } = await convert(
    {
      checkpoint: join(root, 'checkpoint'),
      backend: 'wgsl',
      precision: 'fp16',
      out: join(root, 'out'),
      verify: false,
      allowOverflow: true,
    },
    silentReporter,
  );
  expect(nonFinite).toEqual([expect.objectContaining({ dtype: 'f16', infinite: 2, overflowed: 1, nan: 0 })]);
});

test('an existing output is refused without --force, before anything is read', async () => {
  const root = await folder();
  const out = join(root, 'out');
  await cp('fixtures/pg1-tiny/hf', out, { recursive: true });
  await expect(
    convert(
      { checkpoint: 'fixtures/pg1-tiny/hf', backend: 'onnx', precision: 'fp16', out, verify: false },
      silentReporter,
    ),
  ).rejects.toMatchObject({ code: 'exists', exitCode: 4 });
  await expect(
    convert(
      { checkpoint: 'fixtures/pg1-tiny/hf', backend: 'onnx', precision: 'fp16', out, verify: false, force: true },
      silentReporter,
    ),
  ).rejects.toMatchObject({ code: 'not_a_bundle' });
  expect(await readdir(out)).toEqual(await readdir('fixtures/pg1-tiny/hf'));
});

import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBytes } from '../../ir/tensor.ts';
import { openCheckpoint } from './index.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import { tempFolder } from './testing/temp_folder.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const HF = join(FIXTURES, 'pg1-tiny/hf');
const NPZ = join(FIXTURES, 'pg1-tiny/bv_bf16.npz');

async function openOnce(path: string): Promise<void> {
  await (await openCheckpoint(path)).close();
}

test.each([
  [HF, 'huggingface', HF, []],
  [NPZ, 'big_vision', NPZ, []],
  [
    join(FIXTURES, 'shapes'),
    'huggingface',
    join(FIXTURES, 'shapes/hf'),
    ['The checkpoint hf in the folder was used; bv_f32.npz lay beside it and was not used.'],
  ],
  [
    join(FIXTURES, 'pg1-tiny'),
    'huggingface',
    HF,
    [
      expect.stringMatching(
        /^The checkpoint hf .*; bv_bf16\.npz, bv_f16_deflate\.npz, bv_f32\.npz lay beside it and were not used\.$/,
      ),
    ],
  ],
] as const)('%s', async (given, format, path, warnings) => {
  const opened = await openCheckpoint(given);
  expect(opened).toMatchObject({ format, path, warnings });
  const data = [...opened.tensors.values()][0]!;
  expect(await readBytes(data)).toHaveLength(data.byteLength);
  await opened.checkUnchanged();
  await opened.close();
});

test('big_vision and Hugging Face hold the same number of parameters', async () => {
  const count = async (path: string): Promise<number> => {
    const opened = await openCheckpoint(path);
    await opened.close();
    return [...opened.tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
  };
  // Only the <image> row of the embedding may differ; pg1-tiny has 512 rows in both.
  expect(await count(NPZ)).toBe(await count(HF));
});

describe('by content, not by name', () => {
  test('an .npz and a .safetensors under other names', async () => {
    const folder = tempFolder({
      'weights.dat': readFileSync(NPZ),
      'model.weights': '\u0002\0\0\0\0\0\0\0{}',
      'tokenizer.model': 'x',
    });
    const npz = await openCheckpoint(join(folder, 'weights.dat'));
    expect(npz).toMatchObject({ format: 'big_vision', config: undefined, files: [{ name: 'weights.dat' }] });
    expect([...npz.sidecars].map(([name, { path }]) => [name, path])).toEqual([
      ['tokenizer.model', join(folder, 'tokenizer.model')],
    ]);
    await npz.close();
    const empty = await openCheckpoint(join(folder, 'model.weights'));
    expect(empty).toMatchObject({ format: 'huggingface', warnings: ['model.weights holds no tensors.'] });
    await empty.close();
  });

  test('a folder with one .npz, as Kaggle delivers it', async () => {
    const folder = tempFolder({ 'paligemma2-3b-pt-224.b16.npz': readFileSync(NPZ), 'paligemma_tokenizer.model': 'x' });
    const opened = await openCheckpoint(folder);
    expect(opened).toMatchObject({
      format: 'big_vision',
      path: join(folder, 'paligemma2-3b-pt-224.b16.npz'),
      warnings: ['The checkpoint paligemma2-3b-pt-224.b16.npz in the folder was used.'],
    });
    await opened.close();
  });

  test('a Hugging Face cache', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'snapshots'));
    cpSync(HF, join(folder, 'snapshots/abc'), { recursive: true });
    const opened = await openCheckpoint(folder);
    expect(opened.path).toBe(join(folder, 'snapshots/abc'));
    await opened.close();
  });
});

test('a folder with one .NPZ', async () => {
  const folder = tempFolder({ 'MODEL.NPZ': readFileSync(NPZ) });
  const opened = await openCheckpoint(folder);
  expect(opened.path).toBe(join(folder, 'MODEL.NPZ'));
  await opened.close();
});

test('several checkpoints of one kind are listed', async () => {
  const folder = tempFolder({ 'a.npz': readFileSync(NPZ), 'b.npz': readFileSync(NPZ) });
  await expectRefusal(() => openOnce(folder), folder, {
    name: 'UsageError',
    code: 'ambiguous_checkpoint',
    message: /several checkpoints: a\.npz, b\.npz/,
  });
  cpSync(HF, join(folder, 'x'), { recursive: true });
  await openOnce(folder);
  cpSync(HF, join(folder, 'y'), { recursive: true });
  await expectRefusal(() => openOnce(folder), folder, {
    name: 'UsageError',
    code: 'ambiguous_checkpoint',
    message: /several checkpoints: x, y, a\.npz, b\.npz/,
  });
  renameSync(join(folder, 'x/model.safetensors.index.json'), join(folder, 'x/a.safetensors.index.json'));
  cpSync(join(folder, 'x/a.safetensors.index.json'), join(folder, 'x/b.safetensors.index.json'));
  await expectRefusal(() => openOnce(join(folder, 'x')), join(folder, 'x'), {
    name: 'UsageError',
    code: 'ambiguous_checkpoint',
    message: /several index files: a\..*, b\./,
  });
});

describe('below the folder that was given', () => {
  test('checkpoints of a training: listed by number, or the only one', async () => {
    const folder = tempFolder({ 'config.json': '{}', 'training_args.bin': 'x' });
    for (const name of ['checkpoint-100', 'checkpoint-20']) cpSync(HF, join(folder, name), { recursive: true });
    const error = await expectRefusal(() => openOnce(folder), folder, {
      name: 'UsageError',
      code: 'ambiguous_checkpoint',
      message: /several checkpoints: checkpoint-20, checkpoint-100$/,
    });
    expect(error.place.hint).toBe(`give one of them, such as ${join(folder, 'checkpoint-100')}`);
    renameSync(join(folder, 'checkpoint-20'), join(folder, '.checkpoint-20'));
    const opened = await openCheckpoint(folder);
    expect(opened).toMatchObject({
      path: join(folder, 'checkpoint-100'),
      warnings: ['The checkpoint checkpoint-100 in the folder was used.'],
    });
    await opened.close();
  });

  test('three levels deep, as LeRobot and Hub caches keep them, and no deeper', async () => {
    const folder = tempFolder({ 'checkpoints/000100/training_state/optimizer_state.safetensors': 'x' });
    cpSync(HF, join(folder, 'checkpoints/000100/pretrained_model'), { recursive: true });
    symlinkSync('000100', join(folder, 'checkpoints/last'));
    const opened = await openCheckpoint(folder);
    expect(opened.path).toBe(join(folder, 'checkpoints/000100/pretrained_model'));
    await opened.close();
    renameSync(join(folder, 'checkpoints'), join(folder, 'x'));
    mkdirSync(join(folder, 'y'));
    renameSync(join(folder, 'x'), join(folder, 'y/x'));
    await expectRefusal(() => openOnce(folder), folder, { code: 'no_weights', message: /it holds y$/ });
  });

  test('an .npz in a folder below, which may not be a link that leads out', async () => {
    const folder = tempFolder({ 'a/b.npz': readFileSync(NPZ), 'a/readme.md': 'x' });
    const opened = await openCheckpoint(folder);
    expect(opened).toMatchObject({ format: 'big_vision', path: join(folder, 'a/b.npz') });
    await opened.close();
    const linked = tempFolder();
    symlinkSync(NPZ, join(linked, 'x.npz'));
    const error = await expectRefusal(() => openOnce(linked), join(linked, 'x.npz'), {
      code: 'outside_checkpoint',
      message: /leads out/,
    });
    expect(error.place.hint).toMatch(/ln -f .*bv_bf16\.npz .*x\.npz/);
  });

  test('adapters where a model is expected', async () => {
    const folder = tempFolder({
      'config.json': '{}',
      'checkpoint-9/adapter_config.json': '{}',
      'checkpoint-10/adapter_config.json': '{}',
    });
    const error = await expectRefusal(() => openOnce(folder), folder, {
      code: 'adapter_only',
      message: /PEFT adapters \(checkpoint-9, checkpoint-10\), not a model/,
    });
    expect(error.place.hint).toContain(`--adapter ${join(folder, 'checkpoint-10')}`);
  });

  test('pickled weights in a folder below are named', async () => {
    const folder = tempFolder({
      'config.json': '{}',
      'checkpoint-5/pytorch_model.bin': 'x',
      'checkpoint-5/optimizer.pt': 'x',
    });
    await expectRefusal(() => openOnce(folder), join(folder, 'checkpoint-5/pytorch_model.bin'), {
      code: 'pickle_refused',
      message: /pickle/,
    });
  });
});

describe('refused, with the way out', () => {
  test.each<[string, readonly string[], Partial<Refusal>, string, RegExp]>([
    [
      'only pytorch_model.bin',
      ['config.json', 'pytorch_model.bin'],
      { code: 'pickle_refused', message: /PyTorch pickle/ },
      'pytorch_model.bin',
      /save_pretrained/,
    ],
    [
      'only a .pt',
      ['model.pt'],
      { code: 'pickle_refused', message: /PyTorch pickle/ },
      'model.pt',
      /torch\.load\(file, .*weights_only=True\).*save_file/,
    ],
    [
      'only a .pth',
      ['consolidated.00.pth'],
      { code: 'pickle_refused', message: /PyTorch pickle/ },
      'consolidated.00.pth',
      /torch\.load\(file, .*weights_only=True\).*save_file/,
    ],
    [
      'sharded .bin with its index',
      ['pytorch_model-00001-of-00002.bin', 'pytorch_model.bin.index.json'],
      { code: 'pickle_refused', message: /PyTorch pickle/ },
      'pytorch_model-00001-of-00002.bin',
      /save_pretrained/,
    ],
    [
      'Orbax',
      ['_METADATA', '_sharding', 'manifest.ocdbt'],
      { code: 'unsupported_format', message: /Orbax, TensorStore or OCDBT/ },
      '_METADATA',
      /numpy\.savez/,
    ],
    [
      'TensorStore',
      ['params~img~embedding~kernel/.zarray'],
      { code: 'unsupported_format', message: /Orbax/ },
      'params~img~embedding~kernel',
      /numpy\.savez/,
    ],
    [
      'OCDBT',
      ['ocdbt.process_0/manifest.ocdbt'],
      { code: 'unsupported_format', message: /OCDBT/ },
      'ocdbt.process_0',
      /numpy\.savez/,
    ],
    [
      'big_vision -LAST',
      ['ckpt.bv-LAST'],
      { code: 'unsupported_format', message: /Orbax/ },
      'ckpt.bv-LAST',
      /numpy\.savez/,
    ],
    ['GGUF', ['paligemma.gguf'], { code: 'unsupported_format', message: /GGUF/ }, 'paligemma.gguf', /Hugging Face/],
    [
      'Flax',
      ['flax_model.msgpack'],
      { code: 'unsupported_format', message: /msgpack/ },
      'flax_model.msgpack',
      /safetensors/,
    ],
    [
      'Kaggle archive',
      ['archive.tar.gz'],
      { code: 'unsupported_format', message: /archive/ },
      'archive.tar.gz',
      /extract/,
    ],
  ])('%s', async (_, names, refusal, culprit, hint) => {
    const folder = tempFolder(Object.fromEntries(names.map((name) => [name, 'x'])));
    const error = await expectRefusal(() => openOnce(folder), join(folder, culprit), refusal as Refusal);
    expect(error.place.hint).toMatch(hint);
  });

  test.each<[string, string | Uint8Array, Refusal]>([
    ['model.pt', Buffer.from('80028a0a6cfc9c46f920', 'hex'), { code: 'pickle_refused', message: /pickle/ }],
    ['pytorch_model.bin', 'whatever', { code: 'pickle_refused', message: /pickle/ }],
    ['x-LAST', '000012345', { code: 'unsupported_format', message: /Orbax/ }],
    ['x.gguf', 'GGUF and more', { code: 'unsupported_format', message: /GGUF/ }],
    ['x.h5', '\u0089HDF', { code: 'unsupported_format', message: /unsupported|HDF5/ }],
    ['model.tar.gz', Uint8Array.of(0x1f, 0x8b, 8, 0), { code: 'unsupported_format', message: /archive/ }],
    ['config.json', '{}', { name: 'UsageError', code: 'not_weights', message: /JSON file/ }],
    ['notes.txt', 'some notes on a model', { code: 'header_too_large', message: /the header claims/ }],
  ])('the file %s', async (name, content, refusal) => {
    const path = join(
      tempFolder({ [name]: typeof content === 'string' && name === 'x.h5' ? Buffer.from(content, 'latin1') : content }),
      name,
    );
    await expectRefusal(() => openOnce(path), path, refusal);
  });

  test('an adapter, an empty folder, nothing', async () => {
    const adapter = tempFolder({ 'adapter_model.safetensors': '\u0002\0\0\0\0\0\0\0{}', 'adapter_config.json': '{}' });
    await expectRefusal(() => openOnce(adapter), adapter, { code: 'adapter_only', message: /PEFT adapter/ });
    const empty = tempFolder();
    await expectRefusal(() => openOnce(empty), empty, { code: 'no_weights', message: /it is empty/ });
    const other = tempFolder({ 'README.md': 'x' });
    await expectRefusal(() => openOnce(other), other, { code: 'no_weights', message: /it holds README\.md/ });
    await expectRefusal(() => openOnce(join(empty, 'absent')), join(empty, 'absent'), {
      name: 'UsageError',
      code: 'not_found',
      message: /no such file or folder/,
    });
    await expectRefusal(() => openOnce('/dev/null'), '/dev/null', { code: 'not_a_file', message: /a device/ });
  });
});

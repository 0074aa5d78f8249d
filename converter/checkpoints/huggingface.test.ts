import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../ir/dtypes/index.ts';
import { readBytes, tensorData, tensorOf } from '../../ir/tensor.ts';
import { openHuggingFace } from './huggingface.ts';
import { writeSafetensors } from './safetensors_writer.ts';
import { expectRefusal, type Refusal } from './testing/expect_refusal.ts';
import { tempFolder } from './testing/temp_folder.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;
const INDEX = 'model.safetensors.index.json';
type Tensors = Readonly<Record<string, readonly [DType, readonly number[]]>>;

async function write(path: string, tensors: Tensors): Promise<void> {
  await writeSafetensors(
    path,
    Object.entries(tensors).map(([name, [dtype, shape]], i) => ({
      name,
      data: tensorData(tensorOf(dtype, shape, Array(shape.reduce((n, d) => n * d, 1)).fill(i + 1))),
    })),
  );
}

const FIRST: Tensors = { 'm.embed.weight': ['f32', [4, 2]], 'm.layers.0.w': ['f32', [2, 2]] };
const SECOND: Tensors = { 'm.layers.1.w': ['f32', [2, 2]], 'm.norm.weight': ['f32', [2]] };
const MAP = {
  'm.embed.weight': SHARDS[0],
  'm.layers.0.w': SHARDS[0],
  'm.layers.1.w': SHARDS[1],
  'm.norm.weight': SHARDS[1],
};

/** A good checkpoint of two shards: tests spoil it. */
async function sharded(map: unknown = { metadata: { total_size: 72 }, weight_map: MAP }): Promise<string> {
  const folder = tempFolder({
    'config.json': '{"model_type":"paligemma","n":1e12}',
    [INDEX]: JSON.stringify(map),
    'tokenizer.json': '{}',
  });
  await write(join(folder, SHARDS[0]), FIRST);
  await write(join(folder, SHARDS[1]), SECOND);
  return folder;
}

async function openOnce(path: string): Promise<void> {
  await (await openHuggingFace(path)).close();
}

test('shards of an index, config and sidecars', async () => {
  const folder = await sharded();
  const opened = await openHuggingFace(folder);
  expect(opened).toMatchObject({
    format: 'huggingface',
    path: folder,
    config: { model_type: 'paligemma', n: 1e12 },
    warnings: [],
  });
  expect([...opened.tensors.keys()]).toEqual(Object.keys({ ...FIRST, ...SECOND }));
  expect(opened.files.map(({ name, path }) => [name, path])).toEqual(SHARDS.map((name) => [name, join(folder, name)]));
  expect([...opened.sidecars].map(([name, { path }]) => [name, path])).toEqual([
    ['tokenizer.json', join(folder, 'tokenizer.json')],
  ]);
  expect([...new Float32Array((await readBytes(opened.tensors.get('m.norm.weight')!)).buffer)]).toEqual([2, 2]);
  await opened.checkUnchanged();
  truncateSync(join(folder, SHARDS[1]), 10);
  await expect(opened.checkUnchanged()).rejects.toMatchObject({
    code: 'file_changed',
    place: { file: join(folder, SHARDS[1]) },
  });
  await opened.close();
});

test('both fixtures open', async () => {
  for (const [name, shards, sidecars] of [
    ['pg1-tiny', 4, 1],
    ['shapes', 2, 4],
  ] as const) {
    const opened = await openHuggingFace(join(FIXTURES, name, 'hf'));
    expect(opened.files).toHaveLength(shards);
    expect(opened.sidecars.size).toBe(sidecars);
    expect(opened.warnings).toEqual([]);
    expect(opened.config).toMatchObject({ model_type: 'paligemma', text_config: { rms_norm_eps: 1e-6 } });
    for (const data of opened.tensors.values()) expect(await readBytes(data)).toHaveLength(data.byteLength);
    await opened.checkUnchanged();
    await opened.close();
  }
});

test('one file: in a folder, or by its own path', async () => {
  const folder = tempFolder({ 'config.json': '{}' });
  await write(join(folder, 'model.safetensors'), FIRST);
  for (const path of [folder, join(folder, 'model.safetensors')]) {
    const opened = await openHuggingFace(path);
    expect(opened).toMatchObject({ path, config: {}, warnings: [] });
    expect(opened.tensors.size).toBe(2);
    await opened.close();
  }
  rmSync(join(folder, 'config.json'));
  const bare = await openHuggingFace(folder);
  expect(bare.config).toBeUndefined();
  await bare.close();
});

test('numbered shards without an index; model.safetensors before an index; an empty file', async () => {
  const folder = await sharded();
  rmSync(join(folder, INDEX));
  const series = await openHuggingFace(folder);
  expect(series.tensors.size).toBe(4);
  expect(series.warnings).toEqual([expect.stringMatching(/no index file/)]);
  await series.close();
  await write(join(folder, 'model.safetensors'), {});
  const single = await openHuggingFace(folder);
  expect(single.warnings).toEqual([
    expect.stringMatching(/read from model\.safetensors; model-00001.*were not used/),
    expect.stringMatching(/holds no tensors/),
  ]);
  await single.close();
});

describe('corpus: weight_map', () => {
  const names = [
    '../../etc/passwd',
    '/etc/passwd',
    'C:\\x.safetensors',
    'C:x.safetensors',
    '\\\\host\\share\\x.safetensors',
    'a/../b.safetensors',
    '%2e%2e/x.safetensors',
    '%2E%2E%2Fx.safetensors',
    '..%5cx.safetensors',
    '..',
    '',
    'a\0.safetensors',
    '%252e.safetensors',
  ];
  test.each(names)('%j', async (name) => {
    const folder = await sharded({ weight_map: { ...MAP, 'm.norm.weight': name } });
    const offset = readFileSync(join(folder, INDEX), 'utf8').lastIndexOf(JSON.stringify(name));
    await expectRefusal(() => openOnce(folder), join(folder, INDEX), {
      code: 'unsafe_path',
      message: /not a plain file name/,
      tensor: 'm.norm.weight',
      offset,
    });
  });

  test.each<[string, string, Refusal]>([
    [
      'duplicate tensor',
      `{"weight_map":{"a":"${SHARDS[0]}","a":"${SHARDS[1]}"}}`,
      { code: 'bad_index', message: /duplicate key "a"/ },
    ],
    ['not an object', '[]', { code: 'bad_index', message: /expected the index object/, offset: 0 }],
    ['no weight_map', '{"metadata":{}}', { code: 'bad_index', message: /weight_map is missing/ }],
    ['empty weight_map', '{"weight_map":{}}', { code: 'bad_index', message: /lists no tensors/ }],
    [
      'a number as file',
      '{"weight_map":{"a":1}}',
      { code: 'bad_index', message: /expected a file name/, tensor: 'a', offset: 19 },
    ],
    [
      'a pickle',
      '{"weight_map":{"a":"pytorch_model-00001-of-00002.bin"}}',
      { code: 'pickle_refused', message: /pickle/, tensor: 'a' },
    ],
    [
      'another kind of file',
      '{"weight_map":{"a":"config.json"}}',
      { code: 'bad_index', message: /not a \.safetensors file/, tensor: 'a' },
    ],
    ['BOM', '\ufeff{}', { code: 'bad_index', message: /byte order mark/, offset: 0 }],
    ['cut', '{"weight_map":{"a":"mod', { code: 'bad_index', message: /ends inside a string/, offset: 19 }],
  ])('%s', async (_, text, refusal) => {
    const folder = await sharded();
    writeFileSync(join(folder, INDEX), text);
    await expectRefusal(() => openOnce(folder), join(folder, INDEX), refusal);
  });

  test('wrong total_size, tensors beside the index: warnings', async () => {
    const { 'm.norm.weight': _, ...fewer } = MAP;
    const opened = await openHuggingFace(await sharded({ metadata: { total_size: 71 }, weight_map: fewer }));
    expect(opened.warnings).toEqual([
      expect.stringMatching(/1 tensors that the index does not list: "m\.norm\.weight"/),
      'The index states a total_size of 71 bytes; the tensors have 72.',
    ]);
    await opened.close();
  });

  test('a missing shard: all are listed, with what is there and what is to come', async () => {
    const folder = await sharded({
      metadata: { total_size: 5000 },
      weight_map: { ...MAP, x: 'model-00003.safetensors', y: 'model-00004.safetensors' },
    });
    await expectRefusal(() => openOnce(folder), join(folder, 'model-00003.safetensors'), {
      code: 'missing_shards',
      message:
        /2 files are missing: model-00003\.safetensors, model-00004\.safetensors; present: model-00001-of-00002\.safetensors \(\d+ bytes\), model-00002.*; about \d+ of 5000 bytes are missing/,
    });
    rmSync(join(folder, INDEX));
    rmSync(join(folder, SHARDS[0]));
    await expectRefusal(() => openOnce(folder), join(folder, SHARDS[0]), {
      code: 'missing_shards',
      message: /a file is missing: model-00001-of-00002\.safetensors; present: model-00002/,
    });
  });

  test('a tensor listed but absent', async () => {
    const folder = await sharded({ weight_map: { ...MAP, 'm.extra': SHARDS[1] } });
    await expectRefusal(() => openOnce(folder), join(folder, SHARDS[1]), {
      code: 'missing_tensor',
      message: /places "m\.extra" in model-00002-of-00002\.safetensors, which lacks it$/,
      tensor: 'm.extra',
    });
    const moved = await sharded({ weight_map: { ...MAP, 'm.norm.weight': SHARDS[0] } });
    await expectRefusal(() => openOnce(moved), join(moved, SHARDS[0]), {
      code: 'missing_tensor',
      message: /which lacks it; model-00002-of-00002\.safetensors has it/,
      tensor: 'm.norm.weight',
    });
  });

  test('one tensor in two shards', async () => {
    const folder = await sharded();
    await write(join(folder, SHARDS[1]), { ...SECOND, 'm.embed.weight': ['f16', [4, 3]] });
    await expectRefusal(() => openOnce(folder), join(folder, SHARDS[1]), {
      code: 'duplicate_tensor',
      message:
        /"m\.embed\.weight" is in two shards: f32\[4, 2\] in model-00001-of-00002\.safetensors and f16\[4, 3\] in model-00002/,
      tensor: 'm.embed.weight',
    });
  });

  test.each<[string, DType, readonly number[]]>([
    ['another width', 'f32', [3, 3]],
    ['another dtype', 'bf16', [2, 2]],
  ])('a shard of another revision: %s', async (_, dtype, shape) => {
    const folder = await sharded();
    await write(join(folder, SHARDS[1]), { ...SECOND, 'm.layers.1.w': [dtype, shape] });
    const error = await expectRefusal(() => openOnce(folder), join(folder, SHARDS[1]), {
      code: 'shard_revision',
      message: /are of different revisions/,
      tensor: 'm.layers.1.w',
    });
    expect(error.message).toContain(
      `"m.layers.1.w" is ${dtype}[${shape.join(', ')}] in ${SHARDS[1]}, but "m.layers.0.w" is f32[2, 2] in ${SHARDS[0]}`,
    );
  });

  test('a shard of another revision: other names', async () => {
    const folder = await sharded();
    await write(join(folder, SHARDS[1]), { 'language_model.layers.1.w': ['f32', [2, 2]] });
    await expectRefusal(() => openOnce(folder), join(folder, SHARDS[1]), {
      code: 'missing_tensor',
      message:
        /places 2 tensors \("m\.layers\.1\.w", "m\.norm\.weight"\).*lacks them.*1 tensors that the index does not place there.*another revision/,
    });
  });
});

describe('corpus: files', () => {
  test.each<[string, (path: string, folder: string) => void, Refusal]>([
    [
      'a symlink out of the folder',
      (path) => symlinkSync('/etc/passwd', path),
      { code: 'outside_checkpoint', message: /leads out of the checkpoint, to \/etc\/passwd/ },
    ],
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), { code: 'not_a_file', message: /a FIFO/ }],
    [
      'a symlink to a device',
      (path) => symlinkSync('/dev/zero', path),
      { code: 'outside_checkpoint', message: /\/dev\/zero/ },
    ],
    ['a folder', (path) => mkdirSync(path), { code: 'not_a_file', message: /a folder/ }],
    [
      'a dangling symlink',
      (path) => symlinkSync('nowhere', path),
      { code: 'missing_shards', message: /a file is missing/ },
    ],
    [
      'a Git LFS pointer',
      (path) => writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123456\n'),
      { code: 'git_lfs_pointer', message: /123456 bytes/ },
    ],
    [
      'an HTML login page',
      (path) => writeFileSync(path, '<!doctype html>\n<title>Log in</title>'),
      { code: 'html_page', message: /HTML page/ },
    ],
    [
      'a pickle under another name',
      (path) => writeFileSync(path, Buffer.from('80028a0a6cfc9c46f920', 'hex')),
      { code: 'pickle_refused', message: /pickle/ },
    ],
    [
      'a zip under another name',
      (path) => writeFileSync(path, 'PK\u0003\u0004'),
      { code: 'not_safetensors', message: /zip/ },
    ],
    [
      'a cut shard',
      (path, folder) => {
        cpSync(join(folder, SHARDS[0]), path);
        truncateSync(path, 190);
      },
      { code: 'file_truncated', message: /expected \d+ bytes, the file has 190/ },
    ],
  ])('%s in place of a shard', async (_, make, refusal) => {
    const folder = await sharded();
    const path = join(folder, SHARDS[1]);
    rmSync(path);
    make(path, folder);
    await expectRefusal(() => openOnce(folder), path, refusal);
  });

  test('a symlink that stays inside, and those of a Hugging Face cache, are followed', async () => {
    const folder = await sharded();
    cpSync(join(folder, SHARDS[1]), join(folder, 'copy'));
    rmSync(join(folder, SHARDS[1]));
    symlinkSync('copy', join(folder, SHARDS[1]));
    await openOnce(folder);
    const hash = 'a'.repeat(64);
    const cache = tempFolder({
      [`models--x/blobs/${hash}`]: readFileSync(join(folder, SHARDS[0])),
      'models--x/blobs/plain': readFileSync(join(folder, SHARDS[0])),
    });
    const snapshot = join(cache, 'models--x/snapshots/0123');
    mkdirSync(snapshot, { recursive: true });
    symlinkSync(`../../blobs/${hash}`, join(snapshot, 'model.safetensors'));
    await openOnce(snapshot);
    rmSync(join(snapshot, 'model.safetensors'));
    symlinkSync('../../blobs/plain', join(snapshot, 'model.safetensors'));
    await expectRefusal(() => openOnce(snapshot), join(snapshot, 'model.safetensors'), {
      code: 'outside_checkpoint',
      message: /blobs\/plain/,
    });
  });

  test('config.json and sidecars may not lead outside either', async () => {
    for (const name of ['config.json', 'tokenizer.model']) {
      const folder = await sharded();
      rmSync(join(folder, name), { force: true });
      symlinkSync('/etc/hostname', join(folder, name));
      await expectRefusal(() => openOnce(folder), join(folder, name), {
        code: 'outside_checkpoint',
        message: /\/etc\/hostname/,
      });
    }
  });

  test.each<[string, string, RegExp]>([
    ['not JSON', '{"a":', /end of the text/],
    ['an array', '[]', /must be a JSON object/],
    ['duplicate keys', '{"text_config":{"a":1,"a":2}}', /duplicate key "a"/],
    ['__proto__', '{"__proto__":{}}', /"__proto__" is not allowed/],
    ['a rounded integer', '{"a":9007199254740993}', /cannot be held exactly/],
    ['200k nested', `{"a":${'['.repeat(200_000)}`, /nested more than 64/],
    ['trailing text', '{} x', /expected the end/],
  ])('config.json: %s', async (_, text, message) => {
    const folder = await sharded();
    writeFileSync(join(folder, 'config.json'), text);
    await expectRefusal(() => openOnce(folder), join(folder, 'config.json'), { code: 'bad_config', message });
  });

  test('one shard by its own path', async () => {
    const path = join(await sharded(), SHARDS[0]);
    await expectRefusal(() => openOnce(path), path, { code: 'single_shard', message: /one of 2 shards/ });
  });
});

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Checkpoint, SourceFile } from '../../checkpoints/checkpoint.ts';
import { tempFolders } from '../../testing/bundle.ts';
import { folderEntries } from './folder_files.ts';
import type { Reason } from './ledger.ts';

const folder = tempFolders();

/** What a folder of these files says of each, by name. `/` at the end makes a folder. */
async function fatesOf(names: readonly string[], more: Partial<Checkpoint> = {}, read: readonly string[] = []) {
  const path = await folder();
  for (const name of names)
    if (name.endsWith('/')) await mkdir(join(path, name), { recursive: true });
    else {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), 'text');
    }
  const files: SourceFile[] = read.map((name) => ({ name, path: join(path, name), byteLength: 4, fingerprint: name }));
  const checkpoint = { format: 'huggingface' as const, path, files, config: {}, sidecars: new Map(), ...more };
  const entries = await folderEntries(checkpoint);
  return Object.fromEntries(entries.map(({ file, used, leftOut }) => [file, leftOut ?? used?.join()]));
}

test('what was opened is used; weight files have entries of their own', async () => {
  const names = ['config.json', 'model-1.safetensors', 'model-2.safetensors', 'model.safetensors.index.json'];
  expect(await fatesOf(names, {}, names.slice(1, 3))).toEqual({
    'config.json': 'settings',
    'model.safetensors.index.json': 'settings',
  });
});

test.each<[Reason, readonly string[]]>([
  ['documentation', ['README.md', 'LICENSE', 'NOTICE.txt', 'sample.png', '.gitattributes']],
  ['training_file', ['optimizer.pt', 'rng_state_0.pth', 'training_args.bin', 'trainer_state.json', 'latest']],
  ['other_weights', ['pytorch_model.bin', 'model.fp32.safetensors', 'tf_model.h5', 'model.gguf', 'decoder.onnx']],
  ['code', ['modeling_own.py']],
  ['folder', ['checkpoint-100/', 'images/']],
  ['not_read', ['chat_template.jinja', 'video_preprocessor_config.json']],
  ['no_weights', ['notes.xyz', 'my own notes']],
])('%s', async (reason, names) => {
  expect(await fatesOf(names)).toEqual(Object.fromEntries(names.map((name) => [name, reason])));
});

test('a strange name does not hide weights, and an index without shards is another’s', async () => {
  const path = await folder();
  await writeFile(join(path, 'blob'), 'GGUF then more');
  await writeFile(join(path, 'model.safetensors.index.json'), '{}');
  await symlink(path, join(path, 'loop'));
  const entries = await folderEntries({ format: 'huggingface', path, files: [], config: {}, sidecars: new Map() });
  expect(entries.map(({ file, leftOut }) => [file, leftOut])).toEqual([
    ['blob', 'other_weights'],
    ['loop/', 'folder'],
    ['model.safetensors.index.json', 'other_weights'],
  ]);
});

test('an archive and a single file are checkpoints by themselves', async () => {
  const path = await folder();
  const file = join(path, 'a.npz');
  await writeFile(file, 'x');
  const rest = { files: [], config: undefined, sidecars: new Map() };
  expect(await folderEntries({ format: 'big_vision', path: file, ...rest })).toEqual([]);
  expect(await folderEntries({ format: 'huggingface', path: file, ...rest })).toEqual([]);
});

test('code that config.json names for the model is refused, code for a tokenizer is not', async () => {
  const map = (name: string) => ({ config: { auto_map: { [name]: 'modeling_own.Own' } } });
  await expect(fatesOf(['config.json'], map('AutoModelForVision2Seq'))).rejects.toMatchObject({
    code: 'remote_code',
    message: expect.stringContaining('AutoModelForVision2Seq: modeling_own.Own'),
  });
  expect(await fatesOf(['config.json'], map('AutoTokenizer'))).toEqual({ 'config.json': 'settings' });
});

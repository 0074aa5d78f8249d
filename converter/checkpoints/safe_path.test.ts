import { realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openHuggingFace } from './huggingface.ts';
import { expectRefusal } from './testing/expect_refusal.ts';
import { rawSafetensors } from './testing/raw_safetensors.ts';
import { tempFolder } from './testing/temp_folder.ts';

const WEIGHTS = rawSafetensors({ w: ['F32', [1]] });
const [SHA256, SHA1] = ['b'.repeat(64), 'd'.repeat(40)];

/** A folder with config.json, model.safetensors and tokenizer.json, of which these are links into a cache. */
function linked(targets: Readonly<Record<string, string>>): { folder: string; cache: string } {
  const cache = tempFolder({
    [`models--me--pg/blobs/${SHA256}`]: WEIGHTS,
    [`models--me--pg/blobs/${SHA1}`]: '{"a":1}',
    [`models--me--pg/other/${SHA256}`]: WEIGHTS,
    [`datasets--me--pg/blobs/${SHA256}`]: WEIGHTS,
    'models--me--pg/blobs/secret': WEIGHTS,
    "it's here/weights": WEIGHTS,
  });
  const folder = tempFolder({ 'config.json': '{}', 'model.safetensors': WEIGHTS, 'tokenizer.json': '{}' });
  for (const [name, target] of Object.entries(targets)) {
    rmSync(join(folder, name));
    symlinkSync(join(cache, target), join(folder, name));
  }
  return { folder, cache };
}

test('links into the blobs of a Hub cache elsewhere, of weights and of sidecars, are followed', async () => {
  const { folder } = linked({
    'model.safetensors': `models--me--pg/blobs/${SHA256}`,
    'config.json': `models--me--pg/blobs/${SHA1}`,
    'tokenizer.json': `models--me--pg/blobs/${SHA1}`,
  });
  for (const path of [folder, join(folder, 'model.safetensors')]) {
    const opened = await openHuggingFace(path);
    expect([...opened.tensors.keys()]).toEqual(['w']);
    expect([...opened.sidecars.keys()]).toEqual(['tokenizer.json']);
    expect(opened.config).toEqual({ a: 1 });
    await opened.checkUnchanged();
    await opened.close();
  }
});

test.each([
  `models--me--pg/other/${SHA256}`,
  `datasets--me--pg/blobs/${SHA256}`,
  'models--me--pg/blobs/secret',
  "it's here/weights",
])('a link to %s is not: the command that puts the file there', async (target) => {
  const { folder, cache } = linked({ 'model.safetensors': target });
  const path = join(folder, 'model.safetensors');
  const error = await expectRefusal(async () => (await openHuggingFace(folder)).close(), path, {
    code: 'outside_checkpoint',
    message: /leads out of the checkpoint/,
  });
  const file = realpathSync(join(cache, target));
  const quoted = file.includes("'") ? `'${file.replaceAll("'", String.raw`'\''`)}'` : file;
  expect(error.place.hint).toContain(`ln -f ${quoted} ${path} makes a hard link`);
});

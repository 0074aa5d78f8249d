import { createHash } from 'node:crypto';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Inputs } from '../inputs/inputs.ts';
import { tempFolders } from '../testing/bundle.ts';
import { hashSources } from './hash_sources.ts';

const tempFolder = tempFolders();

async function sources(sizes: readonly number[]) {
  const dir = await tempFolder();
  return Promise.all(
    sizes.map(async (byteLength, i) => {
      const content = Buffer.alloc(byteLength, `${i} some text`);
      await writeFile(join(dir, `f${i}`), content);
      return {
        file: { path: join(dir, `f${i}`), name: `f${i}`, byteLength },
        sha256: createHash('sha256').update(content).digest('hex'),
      };
    }),
  );
}

test('hashes are those of the files, around the size of a block', async () => {
  const block = 2 * 1024 * 1024;
  const made = await sources([0, 1, block - 1, block, block + 1, 2 * block, 5 * block + 3]);
  let read = 0;
  const hashed = await hashSources(
    made.map(({ file }) => file),
    new Inputs(),
    { onRead: (bytes) => (read += bytes) },
  );
  expect(hashed).toEqual(made.map(({ file, sha256 }) => ({ path: file.name, bytes: file.byteLength, sha256 })));
  expect(read).toBe(made.reduce((sum, { file }) => sum + file.byteLength, 0));
  expect(await hashSources([], new Inputs())).toEqual([]);
});

test('a file that grew, went away or cannot be read', async () => {
  const [a, b] = await sources([10, 20]);
  await appendFile(a!.file.path, 'x');
  await expect(hashSources([a!.file, b!.file], new Inputs())).rejects.toMatchObject({
    code: 'source_changed',
    exitCode: 3,
    place: { file: a!.file.path },
  });
  const missing = { ...b!.file, path: `${b!.file.path}-no` };
  await expect(hashSources([b!.file, missing], new Inputs())).rejects.toMatchObject({
    code: 'read_failed',
    exitCode: 3,
    place: { file: missing.path, offset: 0 },
  });
  const folder = join(b!.file.path, '../folder');
  await mkdir(folder);
  await expect(hashSources([{ path: folder, name: 'folder', byteLength: 0 }], new Inputs())).rejects.toMatchObject({
    code: 'read_failed',
    place: { file: folder },
  });
});

test('an abort ends it', async () => {
  const [a] = await sources([50_000_000]);
  const abort = new AbortController();
  await expect(
    hashSources([a!.file], new Inputs(), { signal: abort.signal, onRead: () => abort.abort() }),
  ).rejects.toMatchObject({
    code: 'interrupted',
  });
  await expect(hashSources([a!.file], new Inputs(), { signal: abort.signal })).rejects.toMatchObject({
    code: 'interrupted',
  });
});

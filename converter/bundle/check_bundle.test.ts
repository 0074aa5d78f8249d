import { appendFile, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BadInputError } from '../errors.ts';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { checkBundle } from './check_bundle.ts';
import { makeManifest, MANIFEST_NAME, parseManifest, printManifest, readManifest } from './manifest.ts';

const tempFolder = tempFolders();

async function bundle(): Promise<string> {
  const dir = join(await tempFolder(), 'out');
  await publishTo(dir, {
    artifactFiles: [patternFile('a.bin', 3000), patternFile('onnx/b.bin', 100, 2)],
    manifest: () => testFields,
  });
  return dir;
}

test('a flipped bit is found in any file, each bit of the manifest included', async () => {
  const dir = await bundle();
  for (const name of ['a.bin', 'onnx/b.bin']) {
    const bytes = await readFile(join(dir, name));
    for (let flip = 0; flip < 6; flip++) {
      const at = (flip * 7919) % bytes.length;
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (flip % 8);
      await writeFile(join(dir, name), flipped);
      await expect(checkBundle(dir)).rejects.toMatchObject({
        code: 'bundle_damaged',
        exitCode: 3,
        place: { file: join(dir, name) },
      });
    }
    await writeFile(join(dir, name), bytes);
  }
  const flipped = await readFile(join(dir, MANIFEST_NAME));
  let passed = 0;
  for (let bit = 0; bit < flipped.length * 8; bit++) {
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    try {
      parseManifest(flipped, 'manifest.json');
      passed++;
    } catch (error) {
      if (!(error instanceof BadInputError) || !/^manifest_(damaged|invalid)$/.test(error.code)) throw error;
    }
    flipped[bit >> 3]! ^= 1 << (bit & 7);
  }
  expect(passed).toBe(0);
  expect(parseManifest(flipped, 'manifest.json')).toEqual((await checkBundle(dir)).manifest);
});

test.each<[string, (dir: string) => Promise<unknown>, string]>([
  ['a file is missing', (dir) => rm(join(dir, 'a.bin')), 'a.bin: it is missing'],
  ['a folder is missing', (dir) => rm(join(dir, 'onnx'), { recursive: true }), 'onnx/b.bin: it is missing'],
  ['a file is short', (dir) => truncate(join(dir, 'a.bin'), 2999), 'a.bin: it is truncated: 2999 of 3000 bytes'],
  ['a file is long', (dir) => appendFile(join(dir, 'a.bin'), 'x'), 'a.bin: it is too long: 3001 bytes for 3000'],
  [
    'a file is a link',
    async (dir) => (await rename(join(dir, 'a.bin'), join(dir, '../a')), symlink('../a', join(dir, 'a.bin'))),
    'a.bin: it is not a regular file',
  ],
  [
    'a folder is a link',
    async (dir) => (await rename(join(dir, 'onnx'), join(dir, '../o')), symlink('../o', join(dir, 'onnx'))),
    'onnx/b.bin: onnx is not a folder',
  ],
  [
    'a file is a folder',
    async (dir) => (await rm(join(dir, 'a.bin')), mkdir(join(dir, 'a.bin'))),
    'a.bin: it is not a regular file',
  ],
])('%s', async (_, damage, message) => {
  const dir = await bundle();
  await damage(dir);
  await expect(checkBundle(dir)).rejects.toMatchObject({
    code: 'bundle_damaged',
    exitCode: 3,
    message: expect.stringContaining(message),
  });
});

test('every damaged file is named', async () => {
  const dir = await bundle();
  await rm(join(dir, 'a.bin'));
  await rm(join(dir, 'onnx/b.bin'));
  await expect(checkBundle(dir)).rejects.toThrow(
    '2 files are not what was written: a.bin: it is missing; onnx/b.bin: it is missing',
  );
});

test('files that nobody vouches for are listed', async () => {
  const dir = await bundle();
  await writeFile(join(dir, 'README.md'), 'hello');
  expect((await checkBundle(dir)).unlisted).toEqual(['README.md']);
});

test.each(['../x', '/etc/passwd', 'a/../../x', 'C:\\x', 'a\\b', 'x/', './x', 'nul', 'a\u0000b', ''])(
  'a manifest that lists %j is refused, with a right sha256 too',
  async (path) => {
    const dir = await bundle();
    await writeFile(
      join(dir, MANIFEST_NAME),
      printManifest(makeManifest(testFields, [{ path, bytes: 1, sha256: '0'.repeat(64) }])),
    );
    await expect(checkBundle(dir)).rejects.toMatchObject({ code: 'unsafe_path', exitCode: 3 });
  },
);

test.each([
  ['no manifest', undefined, 'not_a_bundle'],
  ['not JSON', '{', 'manifest_invalid'],
  ['not UTF-8', Buffer.from([0xff, 0xfe]), 'manifest_invalid'],
  ['a byte order mark', '\ufeff{}', 'manifest_invalid'],
  ['another JSON', '{"name": "app"}', 'manifest_invalid'],
  ['a list', '[]', 'manifest_invalid'],
])('%s', async (_, content, code) => {
  const dir = await tempFolder();
  if (content !== undefined) await writeFile(join(dir, MANIFEST_NAME), content);
  await expect(readManifest(dir)).rejects.toMatchObject({
    code,
    exitCode: 3,
    place: { file: join(dir, MANIFEST_NAME) },
  });
});

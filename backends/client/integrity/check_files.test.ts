import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveFiles } from '../../wgsl/runtime/testing/file_server.ts';
import { checkBundle, checkFile } from './check_files.ts';
import { withHashes } from './testing/with_hashes.ts';

const BUNDLE = withHashes(
  new Map([
    ['a/b.bin', Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251)],
    ['c.json', new TextEncoder().encode('{}')],
    ['empty', new Uint8Array()],
  ]),
);
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-check-'));
  for (const [path, data] of BUNDLE) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), data);
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

it('says what was checked, of a folder and of a server, with progress', async () => {
  const heard: number[] = [];
  const checked = await checkBundle(dir, { onProgress: ({ loaded, total }) => heard.push(loaded / total) });
  expect(checked).toEqual({ files: ['a/b.bin', 'c.json', 'empty'], bytes: 5002 });
  expect(heard).toEqual([5000 / 5002, 1]);
  const server = await serveFiles(BUNDLE);
  expect(await checkBundle(server.url)).toEqual(checked);
  expect(await checkFile(server.url, 'c.json')).toEqual({ files: ['c.json'], bytes: 2 });
  await server.close();
});

it('names every file that is not as written', async () => {
  writeFileSync(join(dir, 'a/b.bin'), new Uint8Array(5000));
  rmSync(join(dir, 'c.json'));
  await expect(checkBundle(dir)).rejects.toMatchObject({
    code: 'damaged',
    problem: expect.stringMatching(
      /a\/b\.bin is not what was written: its bytes.*; .*c\.json .*: it is missing/,
    ) as string,
  });
  await expect(checkFile(dir, 'c.json')).rejects.toMatchObject({ code: 'damaged' });
  await expect(checkFile(dir, 'empty')).resolves.toMatchObject({ bytes: 0 });
  await expect(checkFile(dir, 'other')).rejects.toMatchObject({ code: 'not_found' });
});

it('stops when it is told to', async () => {
  await expect(checkBundle(dir, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});

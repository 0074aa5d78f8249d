import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

it('files that replace modules say so in their names, since others share a process', () => {
  const files = ['ir', 'backends', 'verify', 'converter'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts'))
      .map((path) => join(folder, path)),
  );
  expect(files.length).toBeGreaterThan(200);
  const replacing = files.filter((path) => /^vi\.(mock|doMock)\(/m.test(readFileSync(join(ROOT, path), 'utf8')));
  expect(replacing.length).toBeGreaterThan(0);
  expect(replacing.filter((path) => !path.endsWith('.alone.test.ts'))).toEqual([]);
});

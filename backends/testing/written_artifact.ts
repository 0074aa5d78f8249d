import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Artifact } from '../backend.ts';

/**
 * The files of an artifact in a temporary folder, which goes away with `await using`.
 * @throws Error when a file has not the size that it states
 */
export async function writtenArtifact({ files }: Artifact): Promise<{ readonly dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-bundle-'));
  for (const { path, byteLength, chunks } of files) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await using file = await open(join(dir, path), 'w');
    let written = 0;
    for await (const { bytes } of chunks()) {
      await file.write(bytes);
      written += bytes.byteLength;
    }
    if (written !== byteLength) throw new Error(`${path} states ${byteLength} bytes and has ${written}`);
  }
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

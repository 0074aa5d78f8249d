import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Artifact } from '../backend.ts';
import { fileReader } from './file_reader.ts';

/**
 * The files of an artifact in a temporary folder, which goes away with `await using`.
 * @throws Error when a file has not the size that it states
 */
export async function writtenArtifact({ files }: Artifact): Promise<{ readonly dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-bundle-'));
  const read = fileReader();
  for (const file of files) {
    const path = join(dir, file.path);
    await mkdir(dirname(path), { recursive: true });
    const bytes = await read(file);
    await writeFile(path, bytes);
    if (bytes.byteLength !== file.byteLength)
      throw new Error(`${file.path} states ${file.byteLength} bytes and has ${bytes.byteLength}`);
  }
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

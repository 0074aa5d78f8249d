import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { stageExample, stagePackage } from './stage.ts';

const run = promisify(execFile);

/** A file that `npm install` and `npm publish` take. */
export interface Tarball {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly bytes: number;
  readonly unpackedBytes: number;
  readonly files: readonly string[];
}

/** Packs `pgconv` and `pgconv-example` from a clone whose `dist` is built into a folder. */
export async function packAll(clone: string, dir: string): Promise<readonly Tarball[]> {
  await mkdir(dir, { recursive: true });
  const staged = await mkdtemp(join(tmpdir(), 'pgconv-packing-'));
  try {
    await stagePackage(clone, join(staged, 'pgconv'));
    await stageExample(clone, join(staged, 'pgconv-example'));
    return [await pack(join(staged, 'pgconv'), dir), await pack(join(staged, 'pgconv-example'), dir)];
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
}

async function pack(folder: string, dir: string): Promise<Tarball> {
  const args = ['pack', folder, '--pack-destination', resolve(dir), '--json', '--ignore-scripts'];
  const { stdout } = await run('npm', args, { cwd: folder });
  const [packed] = JSON.parse(stdout) as [
    { name: string; version: string; filename: string; size: number; unpackedSize: number; files: { path: string }[] },
  ];
  return {
    name: packed.name,
    version: packed.version,
    path: join(resolve(dir), packed.filename),
    bytes: packed.size,
    unpackedBytes: packed.unpackedSize,
    files: packed.files.map(({ path }) => path),
  };
}

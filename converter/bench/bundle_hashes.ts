import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import { listFiles } from '../bundle/check_bundle.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { pgconv } from './child.ts';

/*
 * npm run bench:hashes: path, bytes and sha256 of every file of every bundle that the small fixtures become: each
 * backend, target and precision there is. Two runs side by side show what a change of the code changes in bundles.
 */

const CHECKPOINTS = ['fixtures/pg1-tiny/bv_f32.npz', 'fixtures/pg2-tiny/bv_f32.npz', 'fixtures/shapes/hf'];

/** Options of `pgconv convert`, for all that backends do not refuse. */
async function variants(): Promise<readonly (readonly string[])[]> {
  const all: string[][] = [];
  for (const name of backendNames()) {
    const backend = await findBackend(name);
    for (const target of backend.targets.length === 0 ? [undefined] : backend.targets)
      for (const precision of PRECISIONS) {
        const narrow = precision === 'bf16' ? backend.narrowing('bf16', target) : 'compute';
        if (backend.refusal(precision, target) === undefined && typeof narrow === 'string')
          all.push(['--to', name, '--dtype', precision, ...(target === undefined ? [] : ['--target', target])]);
      }
  }
  return all;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const root = await mkdtemp(join(tmpdir(), 'pgconv-hashes-'));
try {
  for (const checkpoint of CHECKPOINTS)
    for (const options of await variants()) {
      const out = join(root, 'bundle');
      await pgconv(['convert', checkpoint, ...options, '--no-verify', '--calibrate', 'none', '--out', out]);
      for (const path of (await listFiles(out)).toSorted())
        console.log(
          `${checkpoint} ${options.join(' ')} | ${path} ${(await stat(join(out, path))).size} ${await sha256(join(out, path))}`,
        );
      await rm(out, { recursive: true });
    }
} finally {
  await rm(root, { recursive: true, force: true });
}

import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenOptions, Runner } from '../backend.ts';
import { BackendError } from '../error.ts';
import { MANIFEST_PATH } from './bundle/manifest.ts';
import { ManifestError } from './bundle/manifest_error.ts';
import type { Plan } from './bundle/plan.ts';
import { readManifest } from './bundle/read_manifest.ts';
import { openNodeDevice } from './node_device.ts';
import { WgslRunner } from './runner.ts';
import { RuntimeError } from './runtime/errors.ts';
import { Executor } from './runtime/executor.ts';

/** One piece of a shard on its way to the device. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Opens a bundle on this machine's GPU through the `webgpu` package. @throws BackendError */
export async function open(dir: string, { device: wanted = 'webgpu' }: OpenOptions = {}): Promise<Runner> {
  if (wanted !== 'webgpu') throw new BackendError('unsupported', `the WGSL backend has no device "${wanted}"`, { hint: 'choose webgpu' });
  const plan = await readPlan(dir);
  const { device, name } = await openNodeDevice();
  try {
    const executor = await Executor.create(device, plan, {
      readShard: (index) => createReadStream(join(dir, plan.shards[index]!.path), { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>,
      readShader: (index) => readFile(join(dir, plan.shaders[index]!.path), 'utf8'),
    });
    return new WgslRunner(executor, `webgpu ${name}`, () => device.destroy());
  } catch (error) {
    device.destroy();
    throw asBackendError(error, dir);
  }
}

/** @throws BackendError for a manifest that is missing or damaged */
async function readPlan(dir: string): Promise<Plan> {
  const file = join(dir, MANIFEST_PATH);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new BackendError('bundle-missing', `there is no bundle of shaders in ${dir}`, { file, hint: 'convert the checkpoint with --to wgsl' }, { cause });
  });
  const { plan } = await readManifest(bytes).catch((cause: unknown) => {
    throw cause instanceof ManifestError ? new BackendError('bundle-damaged', cause.message, { file }, { cause }) : cause;
  });
  return plan;
}

function asBackendError(error: unknown, dir: string): unknown {
  if (error instanceof RuntimeError) return new BackendError(error.code === 'damaged' ? 'bundle-damaged' : 'runtime-failed', error.message, { file: dir }, { cause: error });
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new BackendError('bundle-missing', `a file of the bundle is not there: ${(error as Error).message}`, { file: dir, hint: 'convert the checkpoint again' }, { cause: error });
  return error;
}

import type { OpenOptions, Runner } from '../backend.ts';
import { BackendError } from '../error.ts';
import { asBackendError } from '../as_backend_error.ts';
import { WgslRunner } from './runner.ts';
import { requireAdapter } from './runtime/device.ts';
import { start } from './runtime/load.ts';
import { sharedDevices } from './shared_devices.ts';

/** Whether WebGPU finds a GPU here. @throws BackendError `runtime-missing` */
export async function ready(): Promise<void> {
  await requireAdapter().catch((error: unknown) => {
    throw asBackendError(error);
  });
}

/** Opens a bundle on this machine's GPU, in the runtime that browsers have. @throws BackendError */
export async function open(dir: string, { device = 'webgpu' }: OpenOptions = {}): Promise<Runner> {
  if (device !== 'webgpu')
    throw new BackendError('unsupported', `the WGSL backend has no device "${device}"`, { hint: 'choose webgpu' });
  const { model, info, dispose } = await start(dir, {}, sharedDevices).catch((error: unknown) => {
    throw asBackendError(error, { file: dir });
  });
  return new WgslRunner(model.executor, `webgpu ${info.adapter}`, dispose);
}

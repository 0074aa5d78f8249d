import { asBackendError } from '../as_backend_error.ts';
import type { OpenOptions, Runner } from '../backend.ts';
import { openInPage, deviceReady } from '../browser/open_in_page.ts';
import { gpuFacts } from '../client/gpu_facts.ts';
import { gpuName } from '../device_facts.ts';
import { GPU_DEVICES, pageProvider } from '../devices.ts';
import { takeDevice } from '../gpu/take_device.ts';
import { nodeDevice } from '../node_device.ts';
import { client } from './client.ts';
import { WgslRunner } from './runner.ts';
import { PartedRunner } from './parts/parted_runner.ts';
import { openDevice, requireAdapter } from './runtime/device.ts';
import { readBundle } from './runtime/load.ts';
import { sharedDevices } from './shared_devices.ts';

/** Where bundles run; the default first. */
export const DEVICES = [...GPU_DEVICES, 'browser'] as const;

/** Whether WebGPU finds a GPU there. @throws BackendError `runtime-missing`, `no-webgpu` */
export async function ready(
  device: string = DEVICES[0],
  { browser }: Pick<OpenOptions, 'browser'> = {},
): Promise<string | undefined> {
  return deviceReady(device, browser, async () => {
    takeDevice(device, [], 'wgsl');
    const { adapter } = await requireAdapter().catch((error: unknown) => {
      throw asBackendError(error, { hint: 'use the device software, or a machine with a GPU and its driver' });
    });
    return gpuName(gpuFacts(adapter));
  });
}

/**
 * Bytes of memory that a bundle takes at most for each byte of its weights where the device has no memory of its own:
 * the device's copy, and beside it what is on its way there.
 */
const MEMORY_PER_BYTE = 1.5;

/** What of the memory the weights of a part may take: beside them lie values and the reference. */
const PART_SHARE = 1 / 8;

/**
 * Opens a bundle on WebGPU, in the runtime that browsers have: in a page, or in this process, there part by part where
 * its weights would take more than `memory`. @throws BackendError
 */
export async function open(
  dir: string,
  { device = DEVICES[0], memory = Infinity, browser }: OpenOptions = {},
): Promise<Runner> {
  const provider = pageProvider(device);
  if (provider) return openInPage(dir, client, { device, provider, browser });
  takeDevice(device, [], 'wgsl');
  const failed = (error: unknown): never => {
    throw asBackendError(error, { file: dir });
  };
  const { plan, start } = await readBundle(dir, sharedDevices).catch(failed);
  const bytes = plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (bytes * MEMORY_PER_BYTE <= memory) {
    const { model, info, dispose } = await start().catch(failed);
    return new WgslRunner(model.executor, `webgpu ${info.adapter}`, dispose, await nodeDevice(device, true));
  }
  // a device that cannot have it says so before anything is computed
  const { adapter, release } = await openDevice(plan, undefined, sharedDevices).catch(failed);
  release();
  return new PartedRunner({
    plan,
    async openPart(part) {
      const { model, dispose } = await start(part).catch(failed);
      return { executor: model.executor, dispose };
    },
    maxBytes: memory * PART_SHARE,
    description: `webgpu ${adapter}`,
    device: await nodeDevice(device, true),
  });
}

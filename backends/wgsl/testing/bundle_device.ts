import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MANIFEST_PATH } from '../bundle/manifest.ts';
import { readManifest } from '../bundle/read_manifest.ts';
import { openDevice } from '../runtime/device.ts';
import { sharedDevices } from '../shared_devices.ts';

/** The device on which `open` opens a bundle: what it has compiled there serves who loads the bundle as users do. */
export async function bundleDevice(dir: string): Promise<GPUDevice> {
  const { plan } = await readManifest(await readFile(join(dir, MANIFEST_PATH)));
  return (await openDevice(plan, undefined, sharedDevices)).device;
}

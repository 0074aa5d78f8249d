import type { OpenOptions } from '../backend.ts';
import { deviceReady } from '../browser/open_in_page.ts';
import { GPU_DEVICES, pageProvider } from '../devices.ts';
import { takeDevice } from '../gpu/take_device.ts';
import { packagesFor, type TfDevice } from './node_tfjs.ts';

/** Where bundles run; the default first. */
export const DEVICES = ['cpu', 'wasm', ...GPU_DEVICES, 'browser', 'browser:wasm'] as const;

/**
 * The backend of tfjs that a device of this process is; a software GPU is taken.
 * @throws BackendError for another device, and where there is no software GPU
 */
export function tfBackend(device: string): TfDevice {
  return takeDevice(device, ['cpu', 'wasm'] as const, 'tfjs in Node');
}

/** Packages that a device needs. */
export function packagesOf(device: string): readonly string[] {
  const provider = pageProvider(device);
  if (provider) return packagesFor(provider, true);
  return packagesFor(device === 'cpu' || device === 'wasm' ? device : 'webgpu');
}

/** @throws BackendError where there is no software GPU, and no browser with what computes */
export async function ready(
  device: string = DEVICES[0],
  { browser }: Pick<OpenOptions, 'browser'> = {},
): Promise<string | undefined> {
  return deviceReady(device, browser, (named) => void tfBackend(named));
}

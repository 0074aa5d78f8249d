import type { OpenOptions } from '../backend.ts';
import { deviceReady } from '../browser/open_in_page.ts';
import { GPU_DEVICES, pageProvider } from '../devices.ts';
import { takeDevice } from '../gpu/take_device.ts';
import type { Provider } from './session.ts';

/** Where bundles run; the default first. */
export const DEVICES = ['cpu', ...GPU_DEVICES, 'browser', 'browser:wasm'] as const;

/**
 * The execution provider of onnxruntime-node that a device of this process is; a software GPU is taken.
 * @throws BackendError for another device, and where there is no software GPU
 */
export function nodeProvider(device: string): Provider {
  return takeDevice(device, ['cpu'] as const, 'onnxruntime-node');
}

/** Packages that a device needs. */
export function packagesOf(device: string): readonly string[] {
  return [pageProvider(device) ? 'onnxruntime-web' : 'onnxruntime-node'];
}

/** @throws BackendError where there is no software GPU, and no browser with what computes */
export async function ready(
  device: string = DEVICES[0],
  { browser }: Pick<OpenOptions, 'browser'> = {},
): Promise<string | undefined> {
  return deviceReady(device, browser, (named) => void nodeProvider(named));
}

import type { Backend } from '../../backends/backend.ts';
import { deviceNamed, pageProvider } from '../../backends/devices.ts';
import { BackendError } from '../../backends/error.ts';
import { UsageError } from '../errors.ts';
import { requirePackages } from './require_runtime.ts';

/** Where a user wants bundles to run. */
export interface DeviceChoice {
  /** One of the backend's; default its first, or the software GPU where that is WebGPU and there is no GPU. */
  readonly device?: string | undefined;
  /** The executable of a browser, for devices that are one; default the one that is found. */
  readonly browser?: string | undefined;
}

/** Where they will run. */
export interface ChosenDevice extends DeviceChoice {
  readonly device: string;
  /** What the user should read: it is not what was to be expected. */
  readonly note?: string;
}

/**
 * The device of a backend that a choice means, whose packages are here.
 * @throws UsageError for a device that it does not have; BackendError `runtime-missing`
 */
export async function chooseDevice(backend: Backend, { device: text, browser }: DeviceChoice): Promise<ChosenDevice> {
  const [usual] = backend.devices;
  const device = text === undefined ? usual : deviceNamed(text);
  if (!backend.devices.includes(device))
    throw new UsageError('unknown_device', `${backend.name} has no device "${device}"`, {
      hint: `choose one of ${backend.devices.join(', ')}`,
    });
  if (browser !== undefined && !pageProvider(device))
    throw new UsageError('idle_browser', `--browser names a browser, and the device is ${device}`, {
      hint: 'say --device browser as well, or leave --browser out',
    });
  requirePackages([backend], device);
  if (text !== undefined || !backend.ready || !backend.devices.includes('software'))
    return { device, ...(browser !== undefined && { browser }) };
  try {
    await backend.ready(usual);
    return { device };
  } catch (error) {
    if (!(error instanceof BackendError && error.code === 'runtime-missing')) throw error;
    return softwareInstead(backend, error);
  }
}

/** @throws BackendError with the line that installs one, when there is none */
async function softwareInstead(backend: Backend, without: BackendError): Promise<ChosenDevice> {
  try {
    await backend.ready!('software');
  } catch (error) {
    if (!(error instanceof BackendError && error.code === 'runtime-missing')) throw error;
    throw new BackendError(error.code, `${without.message}; and ${error.message}`, error.place, { cause: error });
  }
  return { device: 'software', note: `${without.message}: the software GPU of this machine computes in its place.` };
}

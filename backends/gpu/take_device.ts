import { GPU_DEVICES, softwareDriver } from '../devices.ts';
import { BackendError } from '../error.ts';
import { useSoftwareDriver } from './software_driver.ts';

/**
 * What computes for a device of this process: WebGPU, whose software GPU is taken where that is asked for, or one of a
 * backend's `own`.
 * @param backend for the message
 * @throws BackendError for another device, and where there is no software GPU
 */
export function takeDevice<Own extends string>(device: string, own: readonly Own[], backend: string): Own | 'webgpu' {
  const driver = softwareDriver(device);
  if (driver !== undefined) useSoftwareDriver(driver === 'any' ? undefined : driver);
  if (driver !== undefined || device === 'webgpu') return 'webgpu';
  const known = own.find((name) => name === device);
  if (known !== undefined) return known;
  throw new BackendError('unsupported', `${backend} has no device "${device}"`, {
    hint: `choose ${[...own, ...GPU_DEVICES].join(' or ')}`,
  });
}

import type { DeviceSource } from './runtime/device.ts';

const opened = new Map<string, Promise<GPUDevice>>();

/**
 * Devices that a process opens once and keeps: shaders that one bundle has compiled serve the next one. One that is
 * lost is opened again.
 */
export const sharedDevices: DeviceSource = {
  request(adapter, descriptor) {
    const key = JSON.stringify(descriptor);
    const known = opened.get(key);
    if (known) return known;
    const device = adapter.requestDevice(descriptor);
    opened.set(key, device);
    const forget = () => void opened.delete(key);
    device.then(({ lost }) => lost.then(forget), forget);
    return device;
  },
  release() {},
};

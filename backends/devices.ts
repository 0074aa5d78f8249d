import type { SoftwareDriver } from './gpu/software_driver.ts';

/** Devices of a backend whose bundles run on WebGPU in Node. */
export const GPU_DEVICES = ['webgpu', 'software', 'software:lavapipe'] as const;

/** Devices that are a page of a browser, by what computes there. */
const PAGES = { browser: 'webgpu', 'browser:wasm': 'wasm' } as const;
export type PageDevice = keyof typeof PAGES;
export type PageProvider = (typeof PAGES)[PageDevice];

/** Other spellings of a device. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['browser:webgpu', 'browser'],
  ['software:swiftshader', 'software'],
]);

/** A device as backends name it. */
export function deviceNamed(text: string): string {
  return ALIASES.get(text) ?? text;
}

/** What computes in the page that a device is; undefined for a device that is none. */
export function pageProvider(device: string): PageProvider | undefined {
  return PAGES[device as PageDevice];
}

/** Whether WebGPU computes there: shaders are compiled before anything is. */
export function isGpuDevice(device: string): boolean {
  return (GPU_DEVICES as readonly string[]).includes(device) || pageProvider(device) === 'webgpu';
}

/** The driver of a software GPU, or `any`; undefined for a device that is none. */
export function softwareDriver(device: string): SoftwareDriver['name'] | 'any' | undefined {
  if (device === 'software') return 'any';
  return device === 'software:lavapipe' ? 'lavapipe' : undefined;
}

import { create, globals } from 'webgpu';
import type { GpuProvider } from '../device.ts';

/** Dawn stops its threads when this object is collected, under a device in use as well: it must outlive them all. */
let dawn: GPU | undefined;

export interface CountedGpu extends GpuProvider {
  /** Buffers that were made and not destroyed, by label. */
  live(): readonly string[];
  /** Devices that were opened. */
  readonly devices: readonly GPUDevice[];
}

/**
 * The software GPU, or the machine's, that counts what is made on it; `lacks` are features and limits that it does not
 * have.
 */
export function countedGpu(
  lacks: { readonly features?: readonly string[]; readonly limits?: Readonly<Record<string, number>> } = {},
): CountedGpu {
  Object.assign(globalThis, globals);
  dawn ??= create([]);
  const gpu = dawn;
  const live = new Set<GPUBuffer>();
  const devices: GPUDevice[] = [];
  return {
    devices,
    wgslLanguageFeatures: new Set(
      [...gpu.wgslLanguageFeatures].filter((feature) => !lacks.features?.includes(feature)),
    ),
    live: () => Array.from(live, (buffer) => buffer.label),
    async requestAdapter(options) {
      const adapter = await gpu.requestAdapter(options);
      if (!adapter) return null;
      const features = new Set([...adapter.features].filter((feature) => !lacks.features?.includes(feature)));
      const limits = new Proxy(adapter.limits, {
        get: (target, name) => lacks.limits?.[name as string] ?? (Reflect.get(target, name, target) as unknown),
      });
      const requestDevice = async (descriptor: GPUDeviceDescriptor) => {
        const device = await adapter.requestDevice(descriptor);
        devices.push(device);
        const createBuffer = device.createBuffer.bind(device);
        device.createBuffer = (descriptor) => {
          const buffer = createBuffer(descriptor);
          const destroy = buffer.destroy.bind(buffer);
          buffer.destroy = () => {
            live.delete(buffer);
            return destroy();
          };
          live.add(buffer);
          return buffer;
        };
        return device;
      };
      return { features, limits, info: adapter.info, requestDevice } as unknown as GPUAdapter;
    },
  };
}

import { BackendError } from '../error.ts';

/** What kernels have variants for. */
const FEATURES: readonly GPUFeatureName[] = ['shader-f16', 'subgroups'];

/** Dawn stops its threads when this object is collected, under a device in use as well: it must outlive them all. */
let instance: GPU | undefined;

/** A device of this machine through the `webgpu` package. @throws BackendError when there is none */
export async function openNodeDevice(): Promise<{ readonly device: GPUDevice; readonly name: string }> {
  const { create, globals } = await import('webgpu').catch((cause: unknown) => {
    throw new BackendError('runtime-missing', 'the package webgpu, which brings WebGPU to Node, is not installed', { hint: 'npm install webgpu' }, { cause });
  });
  Object.assign(globalThis, globals);
  instance ??= create([]);
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new BackendError('runtime-missing', 'WebGPU finds no GPU here', { hint: 'install a Vulkan driver, or Mesa’s software GPU' });
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({ requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)), requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
  const { vendor, architecture, description } = adapter.info;
  return { device, name: description || [vendor, architecture].filter(Boolean).join(' ') || 'unknown adapter' };
}

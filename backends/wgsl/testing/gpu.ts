/** Dawn stops its threads when this object is collected, under a device in use as well: it must outlive them all. */
let gpu: GPU | undefined;
const devices = new Map<string, Promise<GPUDevice>>();

/**
 * A device of the software GPU (or the machine's own), with default limits and the features asked for. Shared by the
 * tests of a file.
 */
export function testDevice(features: readonly GPUFeatureName[] = []): Promise<GPUDevice> {
  const key = features.join(',');
  const device = devices.get(key) ?? openDevice(features);
  devices.set(key, device);
  return device;
}

async function openDevice(requiredFeatures: readonly GPUFeatureName[]): Promise<GPUDevice> {
  const adapter = await (await testGpu()).requestAdapter();
  if (!adapter) throw new Error('Dawn finds no adapter');
  return adapter.requestDevice({ requiredFeatures: [...requiredFeatures] });
}

/** What the WGSL of these devices has beyond the first version's. */
export async function testLanguage(): Promise<ReadonlySet<string>> {
  return (await testGpu()).wgslLanguageFeatures;
}

async function testGpu(): Promise<GPU> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  return (gpu ??= create([]));
}

import { gpuFacts, type GpuFacts } from '../client/gpu_facts.ts';

/** Dawn by the driver that it was made for. It must outlive its devices, and is small. */
const instances = new Map<string, GPU>();

/**
 * The GPU that WebGPU finds in this process, by the package `webgpu`; undefined where there is none, or no package that
 * would say it.
 */
export async function nodeGpuFacts(): Promise<GpuFacts | undefined> {
  const driver = process.env['VK_DRIVER_FILES'] ?? '';
  let gpu = instances.get(driver);
  if (!gpu) {
    const dawn = await import('webgpu').catch(() => undefined);
    if (!dawn) return undefined;
    instances.set(driver, (gpu = dawn.create([])));
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  return adapter ? gpuFacts(adapter, gpu.wgslLanguageFeatures) : undefined;
}

import { requireAdapter } from '../../../backends/wgsl/runtime/device.ts';
import { gpuFacts, type GpuFacts } from '../../../backends/client/gpu_facts.ts';

/** What Dawn says of the GPU that it finds. @throws RuntimeError `no_webgpu` */
export async function describeGpu(): Promise<GpuFacts> {
  const { adapter, language } = await requireAdapter();
  return gpuFacts(adapter, language);
}

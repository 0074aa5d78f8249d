import { availableParallelism, cpus } from 'node:os';
import type { CpuFacts, DeviceFacts } from './device_facts.ts';
import { nodeGpuFacts } from './gpu/node_gpu.ts';

/** The processor of this machine. */
export function cpuFacts(): CpuFacts {
  return { model: cpus()[0]?.model.trim() ?? '', architecture: process.arch, threads: availableParallelism() };
}

/** A device in this process. @param onGpu whether the GPU that WebGPU finds computes */
export async function nodeDevice(name: string, onGpu: boolean): Promise<DeviceFacts> {
  const gpu = onGpu ? await nodeGpuFacts() : undefined;
  return { name, host: `node ${process.versions.node}`, cpu: cpuFacts(), ...(gpu && { gpu }) };
}

import type { GpuFacts } from './client/gpu_facts.ts';

/** Where a bundle ran, for reports: a figure is of a device. */
export interface DeviceFacts {
  /** As `--device` names it. */
  readonly name: string;
  /** Whose process it was: `node 20.20.2`, `Chromium 156.0.8078.108`. */
  readonly host: string;
  readonly cpu: CpuFacts;
  /** Where one computed. */
  readonly gpu?: GpuFacts;
}

export interface CpuFacts {
  /** As the system calls it; empty where it does not tell, as in a page. */
  readonly model: string;
  /** `x64`, `arm64`; empty likewise. */
  readonly architecture: string;
  readonly threads: number;
}

/** A device in a line. */
export function deviceLine({ name, host, cpu, gpu }: DeviceFacts): string {
  const processor = [cpu.model, cpu.architecture, `${cpu.threads} ${cpu.threads === 1 ? 'thread' : 'threads'}`];
  if (!gpu) return `${name}, ${host}: ${processor.filter(Boolean).join(', ')}`;
  const { features, limits } = gpu;
  const binding = limits['maxStorageBufferBindingSize'];
  const facts = [
    `${features.length} features${features.includes('shader-f16') ? ' with shader-f16' : ', no shader-f16'}`,
    ...(binding === undefined ? [] : [`bindings up to ${Math.floor(binding / 2 ** 20)} MiB`]),
  ];
  return `${name}, ${host}: ${gpuName(gpu)} (${facts.join('; ')})`;
}

/** A GPU by what it tells of itself, and whether it is the CPU that computes. */
export function gpuName({ vendor, architecture, device, description, software }: GpuFacts): string {
  const names = [vendor, architecture, device, description].filter((word, i, all) => word && all.indexOf(word) === i);
  return `${software ? 'software GPU ' : ''}${names.join(' ') || 'that does not tell its name'}`;
}

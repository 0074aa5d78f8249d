/** What WebGPU says of a GPU: in a page, and in Node. */
export interface GpuFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** With the driver, as Dawn words it; browsers keep it to themselves. */
  readonly description: string;
  /** Whether it is the CPU that computes. */
  readonly software: boolean;
  readonly features: readonly string[];
  /** Of its WGSL, beyond the first version's. */
  readonly language: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

/** Drivers that run on the CPU, by what they call their architecture or device. */
const ON_THE_CPU = /swiftshader|llvmpipe|lavapipe|warp|basic render/i;

/** @param language what WGSL has there (`gpu.wgslLanguageFeatures`) */
export function gpuFacts(adapter: GPUAdapter, language: Iterable<string> = []): GpuFacts {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const limits: Record<string, number> = {};
  // getters of the prototype: no own properties
  for (const name in adapter.limits) limits[name] = adapter.limits[name as keyof GPUSupportedLimits] as number;
  return {
    vendor,
    architecture,
    device,
    description,
    software: isFallbackAdapter || ON_THE_CPU.test(`${architecture} ${device} ${description}`),
    features: [...adapter.features].sort(),
    language: [...language].sort(),
    limits,
  };
}

import { globals } from 'webgpu';

/** What a plan's variants may ask for. */
const FEATURES = ['subgroups', 'shader-f16', 'packed_4x8_integer_dot_product', 'timestamp-query'];

/**
 * A device that takes everything and computes nothing: what a load reads does not depend on what computes. The variants
 * of kernels do, so there is one with all features and one with none.
 */
export function deviceWithoutGpu(features: 'all' | 'none'): GPUDevice {
  Object.assign(globalThis, globals);
  const nothing = () => {};
  const device = {
    features: new Set(features === 'all' ? FEATURES : []),
    limits: new Proxy({}, { get: () => Infinity }),
    lost: new Promise(nothing),
    addEventListener: nothing,
    removeEventListener: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBuffer: ({ size }: GPUBufferDescriptor) => ({ size, destroy: nothing }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({}),
    createComputePipelineAsync: async () => ({}),
    queue: { writeBuffer: nothing, onSubmittedWorkDone: async () => {} },
    destroy: nothing,
  };
  return device as unknown as GPUDevice;
}

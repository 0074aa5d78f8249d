import type { Backend } from './backend.ts';

/** Every backend, by name, the default first: its code, and with it its runtime, is loaded when it is asked for. */
export const backends: Readonly<Record<string, () => Promise<Backend>>> = {
  onnx: async () => (await import('./onnx/index.ts')).onnx,
  tfjs: async () => (await import('./tfjs/index.ts')).tfjs,
  wgsl: async () => (await import('./wgsl/index.ts')).wgsl,
};

import type { Backend } from './backend.ts';

/** Every backend, by name: its code, and with it its runtime, is loaded when it is asked for. */
export const backends = {
  onnx: async () => (await import('./onnx/index.ts')).onnx,
  tfjs: async () => (await import('./tfjs/index.ts')).tfjs,
  wgsl: async () => (await import('./wgsl/index.ts')).wgsl,
} as const satisfies Readonly<Record<string, () => Promise<Backend>>>;

export type BackendName = keyof typeof backends;

/** Whether this version has a backend of that name. */
export function isBackendName(name: string): name is BackendName {
  return Object.hasOwn(backends, name);
}

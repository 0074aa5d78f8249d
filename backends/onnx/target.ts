import type { EmitOptions } from '../backend.ts';

/**
 * Which runtime a bundle is for: `portable` for all that ONNX's own ops and one graph can serve, `webgpu` with what
 * ONNX Runtime has beside them, `ort-cpu` and `ort-cuda` with fused attention for servers.
 */
export const TARGETS = ['portable', 'webgpu', 'ort-cpu', 'ort-cuda'] as const;
export type Target = (typeof TARGETS)[number];

export interface OnnxOptions extends EmitOptions {
  /** Default `portable`. */
  readonly target?: Target;
}

/** Whether `--target` may say it. */
export function isTarget(name: string): name is Target {
  return (TARGETS as readonly string[]).includes(name);
}

import type { Dim } from '../../../ir/dim.ts';
import type { Kernel } from './kernel.ts';

export interface MatmulSpec {
  /** [..., M, K] */
  readonly a: readonly Dim[];
  /** [..., K, N], or [..., N, K] with transposedB; leading axes broadcast. */
  readonly b: readonly Dim[];
  readonly transposedB?: boolean;
}

/** Bindings a, b, out. */
export function matmulKernel(_spec: MatmulSpec): Kernel {
  throw new Error('being written');
}

import type { Dim } from '../../../ir/dim.ts';
import type { Kernel } from './kernel.ts';

export interface LayerNormSpec {
  /** Of x and the result; the last axis is normalised. */
  readonly shape: readonly Dim[];
  readonly epsilon: number;
}

/** Bindings x, scale, bias, out. */
export function layerNormKernel(_spec: LayerNormSpec): Kernel {
  throw new Error('being written');
}

/** h = residual + (post ? rms_norm(x) · post_scale : x), or x itself without residual and post; n = rms_norm(h) · scale. */
export interface RmsNormSpec {
  readonly shape: readonly Dim[];
  /** x is normalised before it is added. */
  readonly post?: { readonly epsilon: number };
  readonly residual: boolean;
  /** n is stored. */
  readonly norm?: { readonly epsilon: number };
  /** h is stored. */
  readonly storeSum: boolean;
}

/**
 * Bindings x, [post_scale], [residual], [scale: with norm], [sum: with storeSum], [out: with norm]. The IR's rms_norm is
 * {residual: false, norm, storeSum: false}; add_rms_norm(x, y) is {residual: true, norm, storeSum: true}, whose results are out, sum.
 */
export function rmsNormKernel(_spec: RmsNormSpec): Kernel {
  throw new Error('being written');
}

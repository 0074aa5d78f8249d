import type { ProgramMetadata } from '../ir/graph.ts';

/** What rounding adds up over. */
export type Sizes = Pick<ProgramMetadata, 'layers' | 'hiddenSize'>;

/** Sizes of the model whose f32 reference implementations were compared: 3 layers of width 64. */
const TINY = 3 * 64;

/**
 * Two exact-in-theory f32 implementations differ by rounding only. Errors of independent roundings add up like a random
 * walk over the layers of the residual stream and over the terms of a sum, so the bound grows with √(layers · width):
 * 1e-4 at 3 × 64, where Flax and PyTorch are 5e-6 to 5e-5 apart on logits near 40; it reaches the ceiling of 1e-3
 * before 18 × 2048, the size of a 3B model.
 */
export function f32MaxAbs({ layers, hiddenSize }: Sizes): number {
  return Math.min(1e-3, 1e-4 * Math.max(1, Math.sqrt((layers * hiddenSize) / TINY)));
}

/** Terms of the longest sum of a layer for each of its width: what the MLP of Gemma adds up. */
const MLP_RATIO = 8;

/** A rounding to f32: rms of an error that is uniform within half a unit. */
const F32_ROUNDING = 2 ** -24 / Math.sqrt(3);

/**
 * Relative L2 of what layers in f32 compute, at most. A sum of n terms that are added one after the other errs by
 * F32_ROUNDING · √(n / 2) of itself, since its k-th part is rounded at √k of a term; over the layers that adds up as in
 * partBound. For 3 × 64 that is 8e-7 (measured: 1e-6), for 18 layers of 2048 9.6e-6 (measured on synth's 3B: 9e-6 in
 * int4, 4.4e-6 to 1.02e-5 in int8), for 46 of 4608 2.3e-5. Three times it, since products follow on products; 1e-5 at
 * least, 84 units of f32; and below what exact instead of tanh gelu does, 1e-4, the smallest fault with ordinary
 * inputs.
 */
export function f32RelativeL2({ layers, hiddenSize }: Sizes): number {
  const ofLayer = F32_ROUNDING * Math.sqrt((MLP_RATIO * hiddenSize) / 2);
  return Math.min(7e-5, Math.max(1e-5, 3 * ofLayer * Math.sqrt((layers + 1) / 2)));
}

/** One unit in the last place of binary16 at this magnitude. */
export function f16Ulp(x: number): number {
  return 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x) || 2 ** -14))) - 10);
}

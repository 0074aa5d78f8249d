import type { WeightRole } from '../weight_storage.ts';

/**
 * Whether a weight gets 8 bits in a 4-bit model: the table and the head, which every token passes through, and the
 * value and down projections, whose errors go into the residual stream as they are, in the first and last eighth of the
 * layers and in every third between: what llama.cpp's Q4_K_M does (src/llama-quant.cpp, use_more_bits), with one layer
 * at either end at least.
 */
export function deservesMoreBits(role: WeightRole | undefined): boolean {
  if (!role || role.part === 'codebook') return false;
  if (role.part === 'embedding' || role.part === 'head') return true;
  const { layer, layers } = role;
  const edge = Math.max(1, Math.round(layers / 8));
  return layer < edge || layer >= layers - edge || (layer - edge) % 3 === 2;
}

import type { WeightRole } from '../weight_storage.ts';

/**
 * Whether a weight gets 8 bits in a 4-bit model where nothing was measured: the head and the projector, which all that
 * is said passes through, the decoder's attention, whose matrices are small and whose errors decide what is looked at,
 * and the MLPs of the first eighth of its layers, whose errors all others read. Measured, a byte there takes away most
 * (docs/quality.md); image towers are hardly worse in 4 bits.
 *
 * @param tableIsHead whether the table is stored once with the head: in fewer bits it would be stored besides
 */
export function deservesMoreBits(role: WeightRole | undefined, tableIsHead = false): boolean {
  if (!role) return false;
  if ('tower' in role) {
    const { tower, part, layer, layers } = role;
    const isMlp = part === 'gate' || part === 'up' || part === 'down';
    return tower === 'decoder' && (!isMlp || layer < Math.max(1, Math.round(layers / 8)));
  }
  return role.part === 'head' || role.part === 'projector' || (role.part === 'embedding' && tableIsHead);
}

import { channelsOf } from './colors.ts';

/**
 * Lays a colour over pixels where a mask is.
 * @param pixels RGBA, or RGB for `channels` 3, changed in place; alpha stays
 * @param mask of as many pixels: how much of the mask is there, 0 to 1
 * @param opacity of the colour where the mask is 1
 */
export function blendMask(
  pixels: Uint8Array | Uint8ClampedArray,
  mask: ArrayLike<number>,
  { color, opacity, channels = 4 }: { readonly color: string; readonly opacity: number; readonly channels?: 3 | 4 },
): void {
  const rgb = channelsOf(color);
  for (let i = 0; i < mask.length; i++) {
    const share = mask[i]! * opacity;
    if (share === 0) continue;
    for (let c = 0; c < 3; c++) {
      const at = i * channels + c;
      pixels[at] = Math.round(pixels[at]! * (1 - share) + rgb[c]! * share);
    }
  }
}

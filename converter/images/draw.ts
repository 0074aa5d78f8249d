import sharp from 'sharp';
import { replaceFile } from '../disk.js';
import { outputError } from '../output_error.ts';
import { BadInputError } from '../errors.ts';
import { blendMask } from '../../backends/client/answers/blend_mask.ts';
import { colorsOf } from '../../backends/client/answers/colors.ts';
import { boxOverlay, type PlacedObject } from './box_overlay.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';

/** What librsvg can draw. */
const MAX_SIDE = 32_767;

/** Of masks over the picture. */
const OPACITY = 0.5;

/**
 * The picture with masks, boxes and labels, as a PNG; pixels that none of them covers keep their values.
 * @throws BadInputError when a side is longer than 32,767 pixels.
 */
export async function renderBoxes(
  { width, height, data: pixels }: RgbImage,
  boxes: readonly PlacedObject[],
): Promise<Uint8Array> {
  if (Math.max(width, height) > MAX_SIDE)
    throw new BadInputError('image_too_large', `cannot draw on ${width}×${height} pixels: at most ${MAX_SIDE} a side`, {
      hint: 'scale the picture down first',
    });
  const data = withMasks(pixels, width, boxes);
  const raw = { width, height, channels: 3 } as const;
  const picture = sharp(data, { raw, limitInputPixels: false });
  const layers =
    boxes.length > 0 ? [{ input: Buffer.from(boxOverlay(boxes, width, height)), limitInputPixels: false }] : [];
  return picture.composite(layers).removeAlpha().png().toBuffer();
}

/** Pixels under masks, each in its object's colour. */
function withMasks(pixels: Uint8Array, width: number, objects: readonly PlacedObject[]): Uint8Array {
  if (!objects.some(({ mask }) => mask)) return pixels;
  const data = Uint8Array.from(pixels);
  const colors = colorsOf(objects.map(({ name }) => name));
  for (const [i, { y0, x0, y1, x1, mask }] of objects.entries()) {
    if (!mask) continue;
    for (let y = y0; y < y1; y++) {
      const row = data.subarray(3 * (y * width + x0), 3 * (y * width + x1));
      const there = mask.subarray((y - y0) * (x1 - x0), (y + 1 - y0) * (x1 - x0));
      blendMask(row, there, { color: colors[i]!, opacity: OPACITY, channels: 3 });
    }
  }
  return data;
}

/**
 * Draws masks and boxes onto a picture and writes it as PNG, replacing `file`. It is written beside its place and moved
 * there, so `file` is never a part of a picture.
 * @throws OutputError when it cannot be written; what stood at `file` is untouched.
 */
export async function drawBoxes(image: RgbImage, boxes: readonly PlacedObject[], file: string): Promise<void> {
  const png = await renderBoxes(image, boxes);
  await replaceFile(file, png).catch((error: unknown) => {
    throw outputError(error, file, '--draw');
  });
}

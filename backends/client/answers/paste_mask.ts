import { resizeFloats } from '../images/resize_floats.ts';
import { resizePillow } from '../images/resize_pillow.ts';
import { rgbImage } from '../images/rgb_image.ts';
import { checkConvention, type Convention, type PictureSize, type PixelBox } from './place_box.ts';

/** Sides of a mask as it is decoded. */
export const MASK_SIDE = 64;

/**
 * A decoded mask in its place in a picture: [height, width], rows from the top. By `bigvision` 1 where the mask is,
 * else 0; by `huggingface` how much it is there, 0 to 1. Outside of the box it is 0, and everywhere for a box without
 * pixels.
 * @param mask f32 [64, 64], raw as the decoder gives it, about -1 to 1
 * @param box of `placeBox`, by the same convention
 * @throws RangeError for a mask of another size, a box that is not in the picture, or a convention that there is not
 */
export function pasteMask(
  mask: ArrayLike<number>,
  box: PixelBox,
  size: PictureSize,
  convention?: 'bigvision',
): Uint8Array;
export function pasteMask(
  mask: ArrayLike<number>,
  box: PixelBox,
  size: PictureSize,
  convention: 'huggingface',
): Float32Array;
export function pasteMask(
  mask: ArrayLike<number>,
  box: PixelBox,
  size: PictureSize,
  convention?: Convention,
): Uint8Array | Float32Array;
export function pasteMask(
  mask: ArrayLike<number>,
  box: PixelBox,
  size: PictureSize,
  convention: Convention = 'bigvision',
): Uint8Array | Float32Array {
  const { width, height } = size;
  checkConvention(convention);
  checkSizes(mask, box, size);
  const out = convention === 'bigvision' ? new Uint8Array(width * height) : new Float32Array(width * height);
  const [rows, columns] = [box.y1 - box.y0, box.x1 - box.x0];
  if (rows === 0 || columns === 0) return out;
  const inBox = convention === 'bigvision' ? isThere(mask, columns, rows) : shareThere(mask, columns, rows);
  for (let y = 0; y < rows; y++) out.set(inBox.subarray(y * columns, (y + 1) * columns), (box.y0 + y) * width + box.x0);
  return out;
}

function checkSizes(mask: ArrayLike<number>, { y0, x0, y1, x1 }: PixelBox, { width, height }: PictureSize): void {
  if (mask.length !== MASK_SIDE ** 2)
    throw new RangeError(`a mask of ${mask.length} values, where one has ${MASK_SIDE} × ${MASK_SIDE}`);
  const isWhole = [y0, x0, y1, x1, width, height].every(Number.isSafeInteger);
  if (!isWhole || !(0 <= y0 && y0 <= y1 && y1 <= height && 0 <= x0 && x0 <= x1 && x1 <= width))
    throw new RangeError(`a box of rows ${y0} to ${y1} and columns ${x0} to ${x1} in ${width} × ${height} pixels`);
}

/** The official evaluation: raw floats, resized as such, and where they are above 0. */
function isThere(mask: ArrayLike<number>, width: number, height: number): Uint8Array {
  const floats = { width: MASK_SIDE, height: MASK_SIDE, data: Float32Array.from(mask) };
  return Uint8Array.from(resizeFloats(floats, width, height, 'bilinear').data, (value) => (value > 0 ? 1 : 0));
}

/** The published demo: f32 of 0 to 1 as bytes, resized by Pillow's default. */
function shareThere(mask: ArrayLike<number>, width: number, height: number): Float32Array {
  const gray = new Uint8Array(MASK_SIDE ** 2 * 3);
  for (let i = 0; i < mask.length; i++) {
    const share = Math.min(1, Math.max(0, Math.fround(Math.fround(Math.fround(mask[i]!) * 0.5) + 0.5)));
    gray.fill(Math.trunc(Math.fround(share * 255)), i * 3, i * 3 + 3);
  }
  const { data } = resizePillow(rgbImage(MASK_SIDE, MASK_SIDE, gray), width, height, 'bicubic');
  return Float32Array.from({ length: width * height }, (_, i) => data[i * 3]! / 255);
}

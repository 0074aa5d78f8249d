import { exifOrientation, isTiff } from './exif_orientation.ts';
import type { PixelMode } from './processor.ts';
import { rgbImage, type RgbImage } from './rgb_image.ts';

/**
 * The orientation by which a picture is turned, the one rule of Node and of browsers: Hugging Face's `load_image` obeys
 * EXIF (`PIL.ImageOps.exif_transpose`), big_vision takes pictures as they are stored; but of a TIFF, which Pillow turns
 * for both.
 */
export function orientationFor(file: Uint8Array, mode: PixelMode): number {
  return mode === 'huggingface' || isTiff(file) ? exifOrientation(file) : 1;
}

/** A picture as it was seen. @param orientation of EXIF, 1 to 8: 2, 4, 5, 7 mirror, from 5 on rows become columns */
export function upright(image: RgbImage, orientation: number): RgbImage {
  if (orientation === 1) return image;
  const { width, height, data } = image;
  const transposes = orientation >= 5;
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const [columns, rows] = transposes ? [height, width] : [width, height];
  const out = new Uint8Array(data.length);
  let at = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [x, y] = transposes ? [row, column] : [column, row];
      const p = ((fromBottom ? height - 1 - y : y) * width + (fromRight ? width - 1 - x : x)) * 3;
      for (let c = 0; c < 3; c++) out[at++] = data[p + c]!;
    }
  return rgbImage(columns, rows, out);
}

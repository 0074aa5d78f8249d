import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { PictureSize, PixelBox } from '../../backends/client/answers/place_box.ts';
import { replaceFile } from '../disk.js';
import { UsageError } from '../errors.ts';
import { outputError } from '../output_error.ts';

/** A mask to write. */
export interface NamedMask extends PixelBox {
  readonly name: string;
  /** [y1 − y0, x1 − x0], within its box: 1 where the object is. */
  readonly mask?: Uint8Array | undefined;
}

/** A mask in its picture: [height, width], rows from the top; 0 outside of its box. */
export function wholeMask(
  { y0, x0, y1, x1, mask }: PixelBox & { readonly mask: Uint8Array },
  { width, height }: PictureSize,
): Uint8Array {
  const whole = new Uint8Array(width * height);
  for (let y = y0; y < y1; y++)
    whole.set(mask.subarray((y - y0) * (x1 - x0), (y + 1 - y0) * (x1 - x0)), y * width + x0);
  return whole;
}

/** A name that is longer fits no file system. */
const MAX_NAME = 40;

/**
 * The file of each object that has a mask, by its place among them and its name: `00-blue-square.png`. Names come from
 * a model: letters and digits alone go into a path.
 */
export function maskFileNames(objects: readonly Pick<NamedMask, 'name' | 'mask'>[]): readonly (string | undefined)[] {
  const digits = Math.max(2, String(objects.length - 1).length);
  return objects.map(({ name, mask }, i) => {
    if (!mask) return undefined;
    const plain = [...name.normalize('NFC').replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, '-')].slice(0, MAX_NAME).join('');
    const words = plain.replaceAll(/^-+|-+$/g, '');
    return `${String(i).padStart(digits, '0')}${words === '' ? '' : `-${words}`}.png`;
  });
}

/** @throws UsageError for a folder that holds files: masks of another answer among these would be taken for its own */
export async function requireEmpty(dir: string): Promise<void> {
  const there = await stat(dir).catch(() => undefined);
  const found = there?.isDirectory() ? await readdir(dir) : [];
  if (there && !there.isDirectory())
    throw new UsageError('folder_not_empty', '--masks names a file, and masks go into a folder', {
      file: dir,
      hint: 'name a new folder',
    });
  if (found.length > 0)
    throw new UsageError('folder_not_empty', '--masks names a folder that is not empty', {
      file: dir,
      hint: 'name a new folder, or empty this one',
    });
}

/**
 * Writes each mask as a PNG of the picture's size, white where the object is, black elsewhere.
 * @param onWritten hears of each, by its place among the objects and its name in `dir`
 * @throws OutputError when one cannot be written; those before it stay
 */
export async function writeMasks(
  dir: string,
  objects: readonly NamedMask[],
  { width, height }: PictureSize,
  onWritten: (place: number, name: string) => void,
): Promise<void> {
  const names = maskFileNames(objects);
  for (const [i, name] of names.entries()) {
    const mask = objects[i]!.mask;
    if (name === undefined || !mask) continue;
    const gray = wholeMask({ ...objects[i]!, mask }, { width, height }).map((there) => 255 * there);
    const raw = { width, height, channels: 1 } as const;
    const png = await sharp(gray, { raw, limitInputPixels: false }).toColourspace('b-w').png().toBuffer();
    const file = join(dir, name);
    await replaceFile(file, png).catch((error: unknown) => {
      throw outputError(error, file, '--masks');
    });
    onWritten(i, name);
  }
}

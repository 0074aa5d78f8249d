import { stat } from 'node:fs/promises';
import { basename, dirname, join, parse } from 'node:path';
import type { DecodeOptions as PictureOptions } from '../../backends/client/images/decode_picture.ts';
import type { PictureSize } from '../../backends/client/answers/place_box.ts';
import { BadInputError } from '../errors.ts';
import { decodeImage } from '../images/decode.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Sample } from './samples.ts';

/** What is right for one picture, in its pixels. */
export interface TrueMasks {
  readonly size: PictureSize;
  /** [height, width] of each object: 1 where it is. */
  readonly masks: readonly Uint8Array[];
}

/** Prompts by which PaliGemma is asked for masks. */
const ASKS_FOR_MASKS = /^\s*segment\b/;
/** Above this a pixel is white. */
const HALF = 127;

/**
 * Where the true masks of a sample lie, one an object: in a folder `masks` beside the picture, or beside its folder
 * when that is called `images`. Those that its case names; else one with the name of the picture, for samples that
 * ask for masks, where there is such a folder. Undefined for a sample that has none.
 */
export async function trueMaskFiles(
  { image, prompt }: Pick<Sample, 'image' | 'prompt'>,
  named: readonly string[] | undefined,
): Promise<readonly string[] | undefined> {
  const { dir, name } = parse(image);
  const folder = join(basename(dir) === 'images' ? dirname(dir) : dir, 'masks');
  if (named) return named.map((file) => join(folder, file));
  if (!ASKS_FOR_MASKS.test(prompt) || !(await stat(folder).catch(() => undefined))?.isDirectory()) return undefined;
  return [join(folder, `${name}.png`)];
}

/**
 * Reads the true masks of a picture.
 * @throws BadInputError `bad_mask` naming the file that is missing, of another size than the picture, or empty, and as
 * `decodeImage` does
 */
export async function readTrueMasks(
  image: string,
  files: readonly string[],
  how: PictureOptions & { readonly inputs?: Inputs } = {},
): Promise<TrueMasks> {
  const { width, height } = await decodeImage(image, how);
  const masks: Uint8Array[] = [];
  for (const file of files) {
    const mask = await decodeImage(file, how).catch((cause: unknown) => {
      if (cause instanceof BadInputError && cause.code === 'image_missing') throw missing(file, cause);
      throw cause;
    });
    if (mask.width !== width || mask.height !== height)
      throw new BadInputError(
        'bad_mask',
        `the mask has ${mask.width} × ${mask.height} pixels, and its picture ${width} × ${height}`,
        { file, hint: 'give it the size of the picture' },
      );
    const there = Uint8Array.from({ length: width * height }, (_, i) => (mask.data[3 * i]! > HALF ? 1 : 0));
    if (!there.includes(1))
      throw new BadInputError('bad_mask', 'the mask is empty: no pixel of it is white', {
        file,
        hint: 'make pixels 255 where the object is, and 0 elsewhere',
      });
    masks.push(there);
  }
  return { size: { width, height }, masks };
}

function missing(file: string, cause: BadInputError): BadInputError {
  return new BadInputError(
    'bad_mask',
    'there is no such mask',
    { file, hint: 'put it there, white where the object is, or name the right files in "masks" of its case' },
    { cause },
  );
}

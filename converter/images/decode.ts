import { readFile, stat } from 'node:fs/promises';
import sharp from 'sharp';
import {
  decodePicture,
  PictureError,
  type DecodeOptions as PictureOptions,
} from '../../backends/client/images/decode_picture.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { BadInputError } from '../errors.ts';

export interface DecodeOptions extends PictureOptions {
  /** Name for messages when `source` is bytes. */
  readonly name?: string;
}

/** No picture within the pixel limit needs more, however it is stored. */
const MAX_FILE_BYTES = 2 ** 30;

/**
 * A picture from a file, or its bytes, as the runtimes decode it: see `decodePicture`.
 * @throws BadInputError when the file is missing, no picture, damaged, of an unsupported kind or too large.
 */
export async function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const { name, ...rest } = options;
  const file = name ?? (typeof source === 'string' ? source : undefined);
  const bytes = typeof source === 'string' ? await readPicture(source) : source;
  try {
    return await decodePicture(sharp, bytes, rest);
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    const { code, message, hint, cause } = error;
    throw new BadInputError(code, message, { ...(file !== undefined && { file }), hint }, { cause });
  }
}

/** Read here, not by the decoder: the system's refusals get their names, and no decoder caches a file that changes. */
async function readPicture(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES)
      throw new BadInputError('image_too_large', `a file of ${size} bytes is no picture for a model`, {
        file,
        hint: 'scale the picture down first',
      });
    return await readFile(file);
  } catch (error) {
    if (error instanceof BadInputError) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new BadInputError(
        'image_missing',
        'the picture does not exist',
        { file, hint: 'check the path' },
        { cause: error },
      );
    if (code === 'EISDIR')
      throw new BadInputError(
        'image_is_folder',
        'a folder, not a picture',
        { file, hint: 'name one picture in it' },
        { cause: error },
      );
    throw new BadInputError(
      'image_unreadable',
      `cannot read the picture: ${reason(error)}`,
      { file, hint: 'check the permissions of the file' },
      { cause: error },
    );
  }
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n')[0] ?? '';
}

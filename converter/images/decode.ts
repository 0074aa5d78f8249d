import sharp from 'sharp';
import {
  decodePicture,
  PictureError,
  type DecodeOptions as PictureOptions,
} from '../../backends/client/images/decode_picture.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';

export interface DecodeOptions extends PictureOptions {
  /** Name for messages when `source` is bytes. */
  readonly name?: string;
  /** Which a file is among; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/** No picture within the pixel limit needs more, however it is stored. */
export const MAX_FILE_BYTES = 2 ** 30;

/**
 * A picture from a file, or its bytes, as the runtimes decode it: see `decodePicture`.
 * @throws BadInputError when the file is missing, no picture, damaged, of an unsupported kind or too large.
 */
export async function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const { name, inputs, ...rest } = options;
  const file = name ?? (typeof source === 'string' ? source : undefined);
  const bytes = typeof source === 'string' ? await readPicture(source, inputs) : source;
  try {
    return await decodePicture(sharp, bytes, rest);
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    const { code, message, hint, cause } = error;
    throw new BadInputError(code, message, { ...(file !== undefined && { file }), hint }, { cause });
  }
}

/** Read here, not by the decoder: the system's refusals get their names, and no decoder caches a file that changes. */
async function readPicture(file: string, given: Inputs | undefined): Promise<Uint8Array> {
  const { inputs, close } = inputsOr(given);
  try {
    return await inputs.read(file, MAX_FILE_BYTES);
  } catch (error) {
    if (error instanceof UsageError)
      throw new BadInputError(
        'image_missing',
        'the picture does not exist',
        { file, hint: 'check the path' },
        { cause: error },
      );
    if (error instanceof BadInputError && error.code === 'file_too_large')
      throw new BadInputError('image_too_large', `${error.message}: no picture for a model`, {
        file,
        hint: 'scale the picture down first',
      });
    throw error;
  } finally {
    await close();
  }
}

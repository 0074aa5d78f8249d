import { createHash } from 'node:crypto';
import { readRegular } from '../../backends/regular_file.js';
import { MAX_FILE_BYTES } from '../images/decode.ts';

/**
 * By which a picture is known: the SHA-256 of the file's bytes, so that copies are one picture.
 * The path where it is no file that could be decoded.
 */
export async function pictureKey(image: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readRegular(image, MAX_FILE_BYTES))
      .digest('hex');
  } catch {
    return image;
  }
}

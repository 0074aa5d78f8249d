import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/**
 * By which a picture is known: the SHA-256 of the file's bytes, so that copies are one picture.
 * The path where it cannot be read.
 */
export async function pictureKey(image: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(image))
      .digest('hex');
  } catch {
    return image;
  }
}

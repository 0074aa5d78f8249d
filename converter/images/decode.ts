import { readFile, stat } from 'node:fs/promises';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { BadInputError } from '../errors.ts';
import { rgbImage, type RgbImage } from '../../backends/client/images/rgb_image.ts';

export interface DecodeOptions {
  /** Name for messages when `source` is bytes. */
  readonly name?: string;
  /** Largest width × height, default 178,956,970: where Pillow refuses too. */
  readonly maxPixels?: number;
  /**
   * Turn the picture as its EXIF orientation says. Default false, as `PIL.Image.open` and big_vision do; transformers'
   * `load_image`, which its pipelines use, turns it.
   */
  readonly orient?: boolean;
}

/** Pillow's threshold for DecompressionBombError: twice a quarter of 1 GiB over 3 bytes. */
const MAX_PIXELS = 178_956_970;
/** No picture within the pixel limit needs more, however it is stored. */
const MAX_FILE_BYTES = 2 ** 30;

const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif']);
const SPACES: ReadonlySet<string> = new Set(['srgb', 'rgb', 'rgb16', 'b-w', 'grey16', 'cmyk']);
const DEPTHS: ReadonlySet<string> = new Set(['uchar', 'ushort']);

/**
 * Decodes a picture (JPEG, PNG, WebP, GIF, TIFF, AVIF; of several frames the first) as
 * `PIL.Image.open(...).convert('RGB')` does: alpha is dropped, not blended; colour profiles and gamma are not applied;
 * grey is repeated, palettes are looked up; CMYK is converted by Pillow's formula. 16-bit samples keep their high byte,
 * grey too, where Pillow would clip at 255 to a white page.
 * @throws BadInputError when the file is missing, no picture, damaged, of an unsupported kind or too large.
 */
export async function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const { maxPixels = MAX_PIXELS, orient = false } = options;
  const file = options.name ?? (typeof source === 'string' ? source : undefined);
  const place = file === undefined ? {} : { file };
  const bytes = typeof source === 'string' ? await readPicture(source) : source;
  if (bytes.byteLength === 0)
    throw new BadInputError('image_empty', 'the file is empty', {
      ...place,
      hint: 'give a JPEG, PNG, WebP, GIF, TIFF or AVIF file',
    });
  // the limit is checked below, with a message that names it; `error` refuses truncated files but not remarks about odd
  // metadata
  const open = () => sharp(bytes, { ignoreIcc: true, failOn: 'error', limitInputPixels: false, autoOrient: orient });

  let metadata: Metadata;
  try {
    metadata = await open().metadata();
  } catch (error) {
    throw new BadInputError(
      'not_an_image',
      'the file is no picture that can be read',
      { ...place, hint: 'give a JPEG, PNG, WebP, GIF, TIFF or AVIF file' },
      { cause: error },
    );
  }
  const { format, width, height, space, depth, pageHeight } = metadata;
  if (!FORMATS.has(format) || !SPACES.has(space) || !DEPTHS.has(depth))
    throw new BadInputError(
      'image_unsupported',
      `pictures stored as ${format} with ${space} pixels of type ${depth} are not supported`,
      { ...place, hint: 'save it as an 8-bit PNG or JPEG first' },
    );
  if (width * (pageHeight ?? height) > maxPixels)
    throw new BadInputError('image_too_large', `${width}×${height} pixels are more than the limit of ${maxPixels}`, {
      ...place,
      hint: 'scale the picture down first',
    });

  const toRgb = space === 'cmyk' ? decodeCmyk : decodeRgb;
  try {
    return await toRgb(open());
  } catch (error) {
    throw new BadInputError(
      'image_damaged',
      `the picture is damaged: ${reason(error)}`,
      { ...place, hint: 'get the file again, or open it in an image editor and save it anew' },
      { cause: error },
    );
  }
}

async function decodeRgb(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return rgbImage(info.width, info.height, new Uint8Array(data.buffer, data.byteOffset, data.length));
}

/** Pillow's `cmyk2rgb`: the paper's white less ink, times what black leaves, in 8-bit arithmetic. */
async function decodeCmyk(pipeline: Sharp): Promise<RgbImage> {
  const { data, info } = await pipeline
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const out = new Uint8Array(info.width * info.height * 3);
  for (let i = 0, p = 0; i < out.length; i += 3, p += info.channels) {
    const white = 255 - data[p + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = data[p + c]! * white + 128;
      out[i + c] = white - (((product >> 8) + product) >> 8);
    }
  }
  return rgbImage(info.width, info.height, out);
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

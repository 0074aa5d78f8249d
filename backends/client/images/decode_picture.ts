import type sharpPackage from 'sharp';
import type { Metadata, Sharp } from 'sharp';
import { decodeGif } from './gif.ts';
import { MAX_PIXELS } from './max_pixels.ts';
import type { PixelMode } from './processor.ts';
import { rgbImage, type RgbImage } from './rgb_image.ts';
import { orientationFor, upright } from './upright.ts';

export interface DecodeOptions {
  /** Largest width × height, default 178,956,970: where Pillow refuses too. */
  readonly maxPixels?: number;
  /** Whose way of turning it by EXIF, see `orientationFor`. Default `bigvision`: as it is stored. */
  readonly mode?: PixelMode;
}

/** What is wrong with a picture, for programs. */
export type PictureFault = 'image_empty' | 'not_an_image' | 'image_unsupported' | 'image_too_large' | 'image_damaged';

/** A file that cannot be decoded. */
export class PictureError extends Error {
  override readonly name = 'PictureError';
  readonly code: PictureFault;
  /** What to do. */
  readonly hint: string;

  constructor(code: PictureFault, message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}

const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif']);
const SPACES: ReadonlySet<string> = new Set(['srgb', 'rgb', 'rgb16', 'b-w', 'grey16', 'cmyk']);
const DEPTHS: ReadonlySet<string> = new Set(['uchar', 'ushort']);
const FORMAT_HINT = 'give a JPEG, PNG, WebP, GIF, TIFF or AVIF file';

/**
 * Decodes the bytes of a picture (JPEG, PNG, WebP, GIF, TIFF, AVIF; of several frames the first) as
 * `PIL.Image.open(...).convert('RGB')` does: alpha is dropped, not blended; colour profiles and gamma are not applied;
 * grey is repeated, palettes are looked up; CMYK is converted by Pillow's formula. 16-bit samples keep their high byte,
 * grey too, where Pillow would clip at 255 to a white page. The one decoder of Node: the command line's and the
 * runtimes'.
 * @throws PictureError
 */
export async function decodePicture(
  sharp: typeof sharpPackage,
  bytes: Uint8Array,
  { maxPixels = MAX_PIXELS, mode = 'bigvision' }: DecodeOptions = {},
): Promise<RgbImage> {
  if (bytes.byteLength === 0) throw new PictureError('image_empty', 'the file is empty', FORMAT_HINT);
  if (isSvg(bytes))
    throw new PictureError('image_unsupported', 'an SVG is a drawing, not pixels', 'save it as an 8-bit PNG first');
  // the limit is checked of the header, with a message that names it; `error` refuses truncated files but not remarks
  // about odd metadata
  const open = (limitInputPixels: number | false) =>
    sharp(bytes, { ignoreIcc: true, failOn: 'error', limitInputPixels });

  let metadata: Metadata;
  try {
    metadata = await open(false).metadata();
  } catch (cause) {
    throw new PictureError('not_an_image', 'the file is no picture that can be read', FORMAT_HINT, { cause });
  }
  const { format, width, height, space, depth, pageHeight } = metadata;
  if (!FORMATS.has(format) || !SPACES.has(space) || !DEPTHS.has(depth))
    throw new PictureError(
      'image_unsupported',
      `pictures stored as ${format} with ${space} pixels of type ${depth} are not supported`,
      'save it as an 8-bit PNG or JPEG first',
    );
  if (width * (pageHeight ?? height) > maxPixels)
    throw new PictureError(
      'image_too_large',
      `${width}×${height} pixels are more than the limit of ${maxPixels}`,
      'scale the picture down first',
    );
  try {
    if (format === 'gif') return decodeGif(bytes, maxPixels);
    const stored = await (space === 'cmyk' ? decodeCmyk : decodeRgb)(open(maxPixels));
    return upright(stored, orientationFor(bytes, mode));
  } catch (cause) {
    throw new PictureError(
      'image_damaged',
      `the picture is damaged: ${cause instanceof Error ? cause.message.trim().split('\n')[0] : String(cause)}`,
      'get the file again, or open it in an image editor and save it anew',
      { cause },
    );
  }
}

/** Told by its text: even its size would be known only when all of it was drawn. */
function isSvg(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 4096)).trimStart();
  return start.startsWith('<') && /<svg[\s>]/i.test(start);
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

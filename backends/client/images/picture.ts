import { MAX_PIXELS } from './max_pixels.ts';
import { toPixelValues } from './pixels.ts';
import { PROCESSORS, type PixelMode, type Processor } from './processor.ts';
import { rgbImage, type RgbImage } from './rgb_image.ts';
import { withoutOrientation } from './exif_orientation.ts';
import { orientationFor, upright } from './upright.ts';
import { RuntimeError } from '../errors.ts';
import { nodeModule, nodePackage } from '../node.ts';

/** What a canvas can draw: an ImageBitmap, a canvas, a video frame, an `<img>` that has loaded. */
interface Drawable {
  readonly width: number;
  readonly height: number;
  /** Of an `<img>`: its own size, whatever the page makes of it. */
  readonly naturalWidth?: number;
  readonly naturalHeight?: number;
}

/** Pixels as rows of RGB or RGBA, 8 bits each: an ImageData is one. */
interface RawPixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  /** Bytes a pixel, where their number does not say it: RawImage of transformers.js has 1 (gray) or 2 (with alpha). */
  readonly channels?: number;
}

/** A URL (in Node also a path), the bytes of a picture file, pixels, or what a canvas can draw. */
export type PictureSource = string | URL | Blob | Uint8Array | RawPixels | Drawable;

interface Canvas {
  getContext(
    kind: '2d',
    options: object,
  ): {
    drawImage(image: object, x: number, y: number): void;
    getImageData(x: number, y: number, width: number, height: number): RawPixels;
  };
}

interface Page {
  readonly createImageBitmap?: (blob: Blob, options: object) => Promise<Drawable & { close(): void }>;
  readonly OffscreenCanvas?: new (width: number, height: number) => Canvas;
}

/**
 * A picture as the image tower takes it: f32 [3, size, size], usually in [-1, 1], squashed as Hugging Face's processor
 * or big_vision does it, bit for bit once the file is decoded. In Node it is decoded as by `pgconv run`, see
 * `decodePicture`; a browser decodes all but GIF by itself: what is wholly transparent is black there, and CMYK is what
 * it makes of it. A file is turned as `orientationFor` says; what is decoded already is taken as it is.
 * @throws RuntimeError `bad_input` for what is no picture, `not_found`
 */
export async function pixelValues(
  source: PictureSource,
  size: number,
  processor: Processor = PROCESSORS.huggingface,
): Promise<Float32Array> {
  return toPixelValues(await decoded(source, processor.mode), size, processor);
}

async function decoded(source: PictureSource, mode: PixelMode): Promise<RgbImage> {
  if (typeof source === 'string' || source instanceof URL) return decoded(await fetched(source), mode);
  if (source instanceof Blob) return decodedFile(source, mode);
  if (source instanceof Uint8Array) return decodedFile(new Blob([source]), mode);
  if (typeof source !== 'object' || source === null)
    throw new RuntimeError('bad_input', `${String(source)} is no picture`, 'give an address, bytes, a Blob or pixels');
  if ('data' in source) return withoutAlpha(source);
  return drawn(source);
}

async function fetched(address: string | URL): Promise<Blob> {
  const fs = nodeModule('node:fs');
  const isUrl = address instanceof URL || /^(?:https?|data|blob|file):/.test(address);
  const name = String(address).slice(0, 200);
  if (fs && (!isUrl || String(address).startsWith('file:'))) {
    const path = isUrl ? new URL(address) : address;
    const isFile = await fs.promises.stat(path).then(
      (stats) => stats.isFile(),
      () => true,
    );
    // a FIFO would be waited for
    if (!isFile) throw missing(`${name} (no regular file)`);
    const bytes = await fs.promises.readFile(path).catch((cause: unknown) => Promise.reject(missing(name, cause)));
    return new Blob([new Uint8Array(bytes)]);
  }
  const response = await fetch(address).catch((cause: unknown) => Promise.reject(missing(name, cause)));
  if (!response.ok) throw missing(`${name} (${response.status})`);
  return response.blob();
}

/** Decoders are imported when there is something for them: a page has need of few. */
async function decodedFile(file: Blob, mode: PixelMode): Promise<RgbImage> {
  const { createImageBitmap } = globalThis as Page;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!createImageBitmap) return decodedInNode(bytes, mode);
  try {
    if (new TextDecoder().decode(bytes.subarray(0, 4)) === 'GIF8') return (await import('./gif.ts')).decodeGif(bytes);
    // browsers turn some kinds of files by themselves: not these
    const stored = new Blob([withoutOrientation(bytes)], { type: file.type });
    const bitmap = await createImageBitmap(stored, { premultiplyAlpha: 'none', colorSpaceConversion: 'none' });
    try {
      return upright(drawn(bitmap), orientationFor(bytes, mode));
    } finally {
      bitmap.close();
    }
  } catch (cause) {
    throw new RuntimeError('bad_input', 'this is no picture that can be read', 'give a PNG, JPEG or WebP file', {
      cause,
    });
  }
}

async function decodedInNode(file: Uint8Array, mode: PixelMode): Promise<RgbImage> {
  const [{ default: sharp }, { decodePicture, PictureError }] = await Promise.all([
    nodePackage('sharp'),
    import('./decode_picture.ts'),
  ]);
  return decodePicture(sharp, file, { mode }).catch((cause: unknown) => {
    if (!(cause instanceof PictureError)) throw cause;
    throw new RuntimeError('bad_input', cause.message, cause.hint, { cause });
  });
}

function drawn(image: Drawable): RgbImage {
  const [width, height] = [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height];
  if (width * height > MAX_PIXELS)
    throw new RuntimeError(
      'bad_input',
      `${width}×${height} pixels are more than the limit of ${MAX_PIXELS}`,
      'scale the picture down first',
    );
  const { OffscreenCanvas } = globalThis as Page;
  if (!OffscreenCanvas || width < 1 || height < 1)
    throw new RuntimeError(
      'bad_input',
      'this is no picture that can be drawn',
      'give a Blob, or pixels as { width, height, data }',
    );
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  context.drawImage(image, 0, 0);
  return withoutAlpha(context.getImageData(0, 0, width, height));
}

function withoutAlpha({ width, height, data, channels }: RawPixels): RgbImage {
  const count = width * height;
  const isWhole = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  const each = channels ?? (isBytes && data.length === 3 * count ? 3 : 4);
  if (!isWhole || !isBytes || ![1, 2, 3, 4].includes(each) || data.length !== each * count)
    throw new RuntimeError(
      'bad_input',
      `${isBytes ? `${data.length} bytes` : 'what is no bytes'} for ${width}×${height} pixels`,
      'give 3 or 4 bytes a pixel',
    );
  if (each === 3) return rgbImage(width, height, new Uint8Array(data.buffer, data.byteOffset, data.length));
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[each * i + (each < 3 ? 0 : c)]!;
  return rgbImage(width, height, rgb);
}

function missing(name: string, cause?: unknown): RuntimeError {
  return new RuntimeError('not_found', `the picture ${name} cannot be read`, 'check its address', { cause });
}

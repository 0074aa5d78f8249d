import { RuntimeError } from '../errors.ts';
import { pixelValues as valuesOf, type PictureSource } from '../images/picture.ts';
import { PIXEL_MODES, processorFrom, type PixelMode } from '../images/processor.ts';

/** What a model takes pictures as. */
export interface PixelOptions {
  /** A bundle's preprocessor_config.json, parsed; with transformers.js `processor.image_processor.config`. */
  readonly config?: object;
  /** A side of what the model takes; default what `config` says. */
  readonly size?: number;
  /** Whose preprocessing: what the bundle was converted with (`--reference`); default `huggingface`. */
  readonly reference?: PixelMode;
}

/** A batch of pictures: what `new Tensor('float32', data, dims)` is made of. */
export interface PixelValues {
  /** f32, rows from the top, channels RGB. */
  readonly data: Float32Array;
  /** Pictures, channels, rows, columns. */
  readonly dims: readonly [pictures: number, channels: 3, rows: number, columns: number];
}

/**
 * `pixel_values` as the original's own preprocessing makes them, bit for bit once a picture is decoded: for
 * transformers.js, whose resize is another, and for whoever runs `vision_encoder` by hand. A RawImage of
 * transformers.js is taken as it is. Throws RuntimeError `bad_input` for what is no picture or a size that nobody says,
 * `not_found`, `damaged` for fields of the config that mean nothing.
 */
export async function pixelValues(
  pictures: PictureSource | readonly PictureSource[],
  { config = {}, size = sideOf(config), reference = 'huggingface' }: PixelOptions = {},
): Promise<PixelValues> {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new RuntimeError('bad_input', `size is ${size}`, 'give a whole number of pixels, such as 224');
  if (!PIXEL_MODES.includes(reference))
    throw new RuntimeError('bad_input', `reference is ${reference}`, `give ${PIXEL_MODES.join(' or ')}`);
  const processor = processorFrom(reference, config, 'preprocessor_config.json');
  const all = Array.isArray(pictures) ? (pictures as readonly PictureSource[]) : [pictures as PictureSource];
  const data = new Float32Array(all.length * 3 * size * size);
  // one after another: what is decoded may be many times as large
  for (const [i, picture] of all.entries()) data.set(await valuesOf(picture, size, processor), i * 3 * size * size);
  return { data, dims: [all.length, 3, size, size] };
}

/** What a config says of the square that pictures are squashed to. */
function sideOf(config: { readonly size?: unknown }): number {
  const { height, width } = (config.size ?? {}) as { readonly height?: unknown; readonly width?: unknown };
  if (typeof height !== 'number' || height !== width || !Number.isSafeInteger(height) || height < 1)
    throw new RuntimeError(
      'bad_input',
      `nothing says how large the model takes pictures: size is ${JSON.stringify(config.size)}`,
      'give size, such as 224, or config, the preprocessor_config.json of the bundle',
    );
  return height;
}

import { RuntimeError } from '../errors.ts';
import type { Processor } from './processor.ts';
import { resizeBilinear } from './resize_bilinear.ts';
import { resizePillow } from './resize_pillow.ts';
import type { RgbImage } from './rgb_image.ts';

/**
 * What a vision encoder takes: the picture squashed to a square (no crop, no bars), f32 [3, size, size], channels RGB,
 * usually in [-1, 1]. `huggingface`: Pillow's resize on 8 bits, x·scale, (x - mean)/deviation, each step rounded to f32
 * as there. `bigvision`: the same after a bilinear resize with antialias in float, and its own x/127.5 - 1 for [-1, 1].
 * @throws RangeError unless `size` is a positive integer; RuntimeError `bad_input` for a picture of another size where
 * the processor does not resize
 */
export function toPixelValues(image: RgbImage, size: number, processor: Processor): Float32Array {
  if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`pixel values of ${size}×${size}`);
  const { mode, filter } = processor;
  if (filter === undefined && (image.width !== size || image.height !== size))
    throw new RuntimeError(
      'bad_input',
      `a picture of ${image.width}×${image.height} pixels, and this model's processor does not resize (do_resize)`,
      `give one of ${size}×${size}`,
    );
  if (mode === 'bigvision') {
    const values = filter === undefined ? image.data : resizeBilinear(image, size, size);
    if (isUsual(processor)) return planes(values, (value) => Math.fround(value / 127.5) - 1);
    return planes(values, (value, channel) => normalized(value, processor, channel));
  }
  const { data } = filter === undefined ? image : resizePillow(image, size, size, filter);
  const tables = [0, 1, 2].map((channel) =>
    Float32Array.from({ length: 256 }, (_, value) => normalized(value, processor, channel)),
  );
  return planes(data, (value, channel) => tables[channel]![value]!);
}

/** Whether 0 to 255 become -1 to 1. */
function isUsual({ scale, normal }: Processor): boolean {
  return scale === 1 / 255 && !!normal && [...normal.mean, ...normal.deviation].every((value) => value === 0.5);
}

/** A value of 0 to 255 of a channel, each step rounded to f32. */
function normalized(value: number, { scale, normal }: Processor, channel: number): number {
  const scaled = Math.fround(scale === undefined ? value : value * scale);
  if (!normal) return scaled;
  return Math.fround(scaled - Math.fround(normal.mean[channel]!)) / Math.fround(normal.deviation[channel]!);
}

/** [N, 3] to [3, N]. */
function planes(
  interleaved: Uint8Array | Float32Array,
  normalize: (value: number, channel: number) => number,
): Float32Array {
  const count = interleaved.length / 3;
  const out = new Float32Array(interleaved.length);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < count; i++) out[c * count + i] = normalize(interleaved[i * 3 + c]!, c);
  return out;
}

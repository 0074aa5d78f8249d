import type { RgbImage } from './rgb_image.ts';
import { resizeBicubic } from './resize_bicubic.ts';
import { resizeBilinear } from './resize_bilinear.ts';

/**
 * Whose preprocessing: Hugging Face's SiglipImageProcessor on Pillow, or the notebook of big_vision. Logits differ
 * between them.
 */
export const PIXEL_MODES = ['huggingface', 'bigvision'] as const;
export type PixelMode = (typeof PIXEL_MODES)[number];

/**
 * What a vision encoder takes: the picture squashed to a square (no crop, no bars), f32 [3, size, size] in [-1, 1],
 * channels RGB. `huggingface`: bicubic on 8 bits, x·(1/255), (x - 0.5)/0.5, each step rounded to f32 as there.
 * `bigvision`: bilinear with antialias in float, x/127.5 - 1.
 * @throws RangeError unless `size` is a positive integer.
 */
export function toPixelValues(image: RgbImage, size: number, mode: PixelMode): Float32Array {
  if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`pixel values of ${size}×${size}`);
  switch (mode) {
    case 'huggingface': {
      const { data } = resizeBicubic(image, size, size);
      return planes(data, (value) => NORMALIZED[value]!);
    }
    case 'bigvision':
      return planes(resizeBilinear(image, size, size), (value) => Math.fround(value / 127.5) - 1);
  }
}

/** The 256 values that 8 bits can normalize to. */
const NORMALIZED = Float32Array.from({ length: 256 }, (_, value) => (Math.fround(value * (1 / 255)) - 0.5) / 0.5);

/** [N, 3] to [3, N]. */
function planes(interleaved: Uint8Array | Float32Array, normalize: (value: number) => number): Float32Array {
  const count = interleaved.length / 3;
  const out = new Float32Array(interleaved.length);
  for (let c = 0; c < 3; c++) for (let i = 0; i < count; i++) out[c * count + i] = normalize(interleaved[i * 3 + c]!);
  return out;
}

import type { RgbImage } from './rgb_image.ts';
import { PILLOW_KERNELS } from './pillow_filters.ts';
import { sampleWeights } from './sample_weights.ts';

const TRIANGLE = PILLOW_KERNELS.bilinear;

/**
 * `tf.image.resize(image, method='bilinear', antialias=True)`, as big_vision's notebook resizes: the result stays
 * float. Sample positions, the rows between the passes and the result are f32, sums are double: within 3e-4 of
 * jax.image.resize.
 * @returns [height, width, 3] in [0, 255].
 */
export function resizeBilinear(image: RgbImage, width: number, height: number): Float32Array {
  return resizeColumns(resizeRows(image, width), width, image.height, height);
}

function resizeRows({ data, width: from, height: rows }: RgbImage, to: number): Float32Array {
  const { stride, first, count, weights } = sampleWeights(from, to, TRIANGLE, Math.fround);
  const out = new Float32Array(rows * to * 3);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < to; x++) {
      let p = (y * from + first[x]!) * 3;
      let [r, g, b] = [0, 0, 0];
      for (let k = x * stride, end = k + count[x]!; k < end; k++, p += 3) {
        const w = weights[k]!;
        r += data[p]! * w;
        g += data[p + 1]! * w;
        b += data[p + 2]! * w;
      }
      out[at++] = r;
      out[at++] = g;
      out[at++] = b;
    }
  }
  return out;
}

/** Adds up whole rows, since walking down a column would miss the cache at each step. */
function resizeColumns(data: Float32Array, width: number, from: number, to: number): Float32Array {
  const { stride, first, count, weights } = sampleWeights(from, to, TRIANGLE, Math.fround);
  const length = width * 3;
  const out = new Float32Array(to * length);
  const sums = new Float64Array(length);
  for (let y = 0; y < to; y++) {
    sums.fill(0);
    for (let k = 0; k < count[y]!; k++) {
      const w = weights[y * stride + k]!;
      const row = (first[y]! + k) * length;
      for (let i = 0; i < length; i++) sums[i] = sums[i]! + data[row + i]! * w;
    }
    out.set(sums, y * length);
  }
  return out;
}

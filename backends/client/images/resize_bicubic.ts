import { rgbImage, type RgbImage } from './rgb_image.ts';
import { sampleWeights, type ResizeKernel } from './sample_weights.ts';

/**
 * Pillow's `Image.resize(..., BICUBIC)` on 8-bit pixels, bit for bit: Hugging Face's processor resizes so.
 * What makes it bit-exact (Resample.c): weights as fixed point of 22 bits rounded half away from zero, each pass
 * rounded and clipped to 8 bits, rows before columns, and no pass along a side that keeps its length.
 */
export function resizeBicubic(image: RgbImage, width: number, height: number): RgbImage {
  const wide = width === image.width ? image.data : resizeRows(image.data, image.width, image.height, width);
  const data = height === image.height ? wide : resizeColumns(wide, width, image.height, height);
  return rgbImage(width, height, data === image.data ? new Uint8Array(data) : data);
}

/** Keys' cubic with a = -0.5, in Pillow's order of operations. */
const BICUBIC: ResizeKernel = {
  support: 2,
  weight(x) {
    const a = -0.5;
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  },
};

/** 32 bits less 8 of the pixel and 2 for sums beyond 255: Pillow's PRECISION_BITS. */
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);

function fixedWeights(from: number, to: number) {
  const { weights, ...rest } = sampleWeights(from, to, BICUBIC);
  return {
    ...rest,
    weights: Int32Array.from(weights, (w) => Math.trunc(w * (1 << PRECISION_BITS) + (w < 0 ? -0.5 : 0.5))),
  };
}

function clip8(sum: number): number {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function resizeRows(data: Uint8Array, from: number, rows: number, to: number): Uint8Array {
  const { stride, first, count, weights } = fixedWeights(from, to);
  const out = new Uint8Array(rows * to * 3);
  let at = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < to; x++) {
      let p = (y * from + first[x]!) * 3;
      let [r, g, b] = [HALF, HALF, HALF];
      for (let k = x * stride, end = k + count[x]!; k < end; k++, p += 3) {
        const w = weights[k]!;
        r = (r + Math.imul(data[p]!, w)) | 0;
        g = (g + Math.imul(data[p + 1]!, w)) | 0;
        b = (b + Math.imul(data[p + 2]!, w)) | 0;
      }
      out[at++] = clip8(r);
      out[at++] = clip8(g);
      out[at++] = clip8(b);
    }
  }
  return out;
}

/** Adds up whole rows, since walking down a column would miss the cache at each step. */
function resizeColumns(data: Uint8Array, width: number, from: number, to: number): Uint8Array {
  const { stride, first, count, weights } = fixedWeights(from, to);
  const length = width * 3;
  const out = new Uint8Array(to * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < to; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const w = weights[y * stride + k]!;
      const row = (first[y]! + k) * length;
      for (let i = 0; i < length; i++) sums[i] = sums[i]! + Math.imul(data[row + i]!, w);
    }
    for (let i = 0, at = y * length; i < length; i++) out[at + i] = clip8(sums[i]!);
  }
  return out;
}

import { rgbImage, type RgbImage } from './rgb_image.ts';
import { PILLOW_KERNELS, type PillowFilter } from './pillow_filters.ts';
import { sampleWeights, type ResizeKernel } from './sample_weights.ts';

/**
 * Pillow's `Image.resize` on 8-bit pixels, bit for bit: Hugging Face's processor resizes so.
 * What makes it bit-exact (Resample.c): weights as fixed point of 22 bits rounded half away from zero, each pass
 * rounded and clipped to 8 bits, rows before columns, and no pass along a side that keeps its length.
 */
export function resizePillow(image: RgbImage, width: number, height: number, filter: PillowFilter): RgbImage {
  if (filter === 'nearest') return nearest(image, width, height);
  const kernel = PILLOW_KERNELS[filter];
  const wide = width === image.width ? image.data : resizeRows(image.data, image.width, image.height, width, kernel);
  const data = height === image.height ? wide : resizeColumns(wide, width, image.height, height, kernel);
  return rgbImage(width, height, data === image.data ? new Uint8Array(data) : data);
}

/** The pixel in which each centre falls; positions are added up, as Geometry.c does. */
function nearest({ width: fromX, height: fromY, data }: RgbImage, width: number, height: number): RgbImage {
  const [columns, rows] = [positions(fromX, width), positions(fromY, height)];
  const out = new Uint8Array(width * height * 3);
  let at = 0;
  for (const y of rows)
    for (const x of columns) for (let c = 0, p = (y * fromX + x) * 3; c < 3; c++) out[at++] = data[p + c]!;
  return rgbImage(width, height, out);
}

function positions(from: number, to: number): Int32Array {
  const step = from / to;
  let position = step * 0.5;
  return Int32Array.from({ length: to }, () => {
    const pixel = Math.min(from - 1, Math.trunc(position));
    position += step;
    return pixel;
  });
}

/** 32 bits less 8 of the pixel and 2 for sums beyond 255: Pillow's PRECISION_BITS. */
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);

function fixedWeights(from: number, to: number, kernel: ResizeKernel) {
  const { weights, ...rest } = sampleWeights(from, to, kernel);
  return {
    ...rest,
    weights: Int32Array.from(weights, (w) => Math.trunc(w * (1 << PRECISION_BITS) + (w < 0 ? -0.5 : 0.5))),
  };
}

function clip8(sum: number): number {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function resizeRows(data: Uint8Array, from: number, rows: number, to: number, kernel: ResizeKernel): Uint8Array {
  const { stride, first, count, weights } = fixedWeights(from, to, kernel);
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
function resizeColumns(data: Uint8Array, width: number, from: number, to: number, kernel: ResizeKernel): Uint8Array {
  const { stride, first, count, weights } = fixedWeights(from, to, kernel);
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

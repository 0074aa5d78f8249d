import { PILLOW_KERNELS, type PillowFilter } from './pillow_filters.ts';
import { sampleWeights } from './sample_weights.ts';

/** One channel of floats, rows from the top. */
export interface FloatImage {
  readonly width: number;
  readonly height: number;
  /** f32 [height, width]. */
  readonly data: Float32Array;
}

/**
 * Pillow's `Image.resize` on mode F, bit for bit: sums in f64, each pass rounded to f32, rows before columns, and no
 * pass along a side that keeps its length (Resample.c).
 */
export function resizeFloats(
  { width, height, data }: FloatImage,
  toWidth: number,
  toHeight: number,
  filter: Exclude<PillowFilter, 'nearest'>,
): FloatImage {
  const kernel = PILLOW_KERNELS[filter];
  const wide =
    toWidth === width ? data : along(data, sampleWeights(width, toWidth, kernel), [height, width, 1], toWidth);
  const out =
    toHeight === height ? wide : along(wide, sampleWeights(height, toHeight, kernel), [1, height, toWidth], toHeight);
  return { width: toWidth, height: toHeight, data: out === data ? data.slice() : out };
}

/** Resizes the middle one of three axes. */
function along(
  data: Float32Array,
  { stride, first, count, weights }: ReturnType<typeof sampleWeights>,
  [outer, from, inner]: readonly [number, number, number],
  to: number,
): Float32Array {
  const out = new Float32Array(outer * to * inner);
  let at = 0;
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < to; i++)
      for (let n = 0; n < inner; n++) {
        let sum = 0;
        let p = (o * from + first[i]!) * inner + n;
        for (let k = i * stride, end = k + count[i]!; k < end; k++, p += inner) sum += data[p]! * weights[k]!;
        out[at++] = sum;
      }
  return out;
}

/** A filter over distances in source pixels; zero beyond `support`. */
export interface ResizeKernel {
  readonly support: number;
  weight(x: number): number;
}

/** For each output position the source positions it reads and their normalized weights. */
export interface SampleWeights {
  /** Weights per output position in `weights`, some of them unused. */
  readonly stride: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Float64Array;
}

/**
 * Weights of a resize along one axis: pixel centres are aligned, and when shrinking the kernel is stretched over the
 * pixels that fall together (antialias). The arithmetic, order included, is `precompute_coeffs` of Pillow's Resample.c.
 * jax.image.resize and tf.image.resize(antialias=True) define the same weights, but at positions rounded to f32, which
 * shows at large coordinates: Pillow wants `round` to be the identity, they want Math.fround.
 */
export function sampleWeights(
  from: number,
  to: number,
  kernel: ResizeKernel,
  round: (position: number) => number = (x) => x,
): SampleWeights {
  if (!(from >= 1) || !(to >= 1)) throw new RangeError(`resize from ${from} to ${to} pixels`);
  const scale = round(from / to);
  const stretch = Math.max(scale, 1);
  const support = kernel.support * stretch;
  const inverse = 1 / stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * stride);
  for (let i = 0; i < to; i++) {
    const center = round((i + 0.5) * scale);
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const at = i * stride;
    let sum = 0;
    for (let k = begin; k < end; k++) sum += weights[at + k - begin] = kernel.weight((k - center + 0.5) * inverse);
    if (sum !== 0) for (let k = 0; k < end - begin; k++) weights[at + k]! /= sum;
    first[i] = begin;
    count[i] = end - begin;
  }
  return { stride, first, count, weights };
}

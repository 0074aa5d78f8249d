import type { ResizeKernel } from './sample_weights.ts';

/** Pillow's filters in the order of its numbers, which `resample` of a processor names: 0 is nearest. */
export const PILLOW_FILTERS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type PillowFilter = (typeof PILLOW_FILTERS)[number];

/** Keys' cubic parameter, as Pillow has it. */
const A = -0.5;

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** Resample.c in its order of operations; `nearest` has no weights. */
export const PILLOW_KERNELS: Readonly<Record<Exclude<PillowFilter, 'nearest'>, ResizeKernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) : 0),
  },
  bicubic: {
    support: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return ((A + 2) * d - (A + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

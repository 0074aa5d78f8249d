import type { WeightFormat } from './format.ts';

/**
 * Quantiles of the normal distribution, scaled to [-1, 1], as bitsandbytes has them (functional.py,
 * `create_normal_map`; arXiv:2305.14314, appendix E). bitsandbytes puts the first of two codes in the high half of a
 * byte, and its blocks run over the whole matrix: codes that it wrote need their halves swapped.
 */
export const nf4 = {
  name: 'nf4',
  doc: '4-bit codes of 16 quantiles of the normal distribution (QLoRA), a scale for each 64 weights of a row.',
  bits: 4,
  codes: ['u4'],
  codebook: [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ],
  blocks: { size: 64, over: 'row' },
  symmetric: true,
  floatZeros: false,
  algorithms: ['rtn'],
  gptq: false,
} as const satisfies WeightFormat;

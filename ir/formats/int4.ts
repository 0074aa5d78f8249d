import type { WeightFormat } from './format.ts';

export const int4 = {
  name: 'int4',
  doc: '4-bit codes, a scale and a zero point for each 32 weights of a row.',
  bits: 4,
  codes: ['u4', 'i4'],
  blocks: { size: 32, over: 'row' },
  symmetric: false,
  floatZeros: true,
  algorithms: ['search', 'rtn', 'hqq'],
  gptq: true,
} as const satisfies WeightFormat;

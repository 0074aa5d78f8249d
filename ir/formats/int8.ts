import type { WeightFormat } from './format.ts';

export const int8 = {
  name: 'int8',
  doc: '8-bit codes around 0, a scale for each 32 weights of a row.',
  bits: 8,
  codes: ['u8', 'i8'],
  blocks: { size: 32, over: 'row' },
  symmetric: true,
  floatZeros: false,
  algorithms: ['search', 'rtn', 'hqq'],
  gptq: true,
} as const satisfies WeightFormat;

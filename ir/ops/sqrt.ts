import { elementwise, floating } from './elementwise.ts';

export const sqrt = elementwise({
  name: 'sqrt',
  doc: 'The square root.',
  operands: ['x'],
  castPolicy: 'keep f32',
  accepts: floating,
  f: (x) => Math.sqrt(x),
});

import { elementwise, floating } from './elementwise.ts';

export const tanh = elementwise({
  name: 'tanh',
  doc: 'The hyperbolic tangent.',
  operands: ['x'],
  accepts: floating,
  f: (x) => Math.tanh(x),
});

import { elementwise, floating } from './elementwise.ts';

export const tanh = elementwise({
  name: 'tanh',
  doc: 'The hyperbolic tangent.',
  operands: ['x'],
  castPolicy: 'keep f32',
  accepts: floating,
  f: (x) => Math.tanh(x),
});

import { quotients } from '../arithmetic.ts';
import { elementwise, floating } from './elementwise.ts';

export const div = elementwise({
  name: 'div',
  doc: 'a / b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: floating,
  f: (a, b) => a / b,
  loop: quotients,
});

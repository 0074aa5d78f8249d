import { sums } from '../arithmetic.ts';
import { elementwise, numeric } from './elementwise.ts';

export const add = elementwise({
  name: 'add',
  doc: 'a + b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: numeric,
  f: (a, b) => a + b,
  loop: sums,
});

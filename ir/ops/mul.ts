import { products } from '../arithmetic.ts';
import { elementwise, numeric } from './elementwise.ts';

export const mul = elementwise({
  name: 'mul',
  doc: 'a * b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'follow all operands',
  accepts: numeric,
  f: (a, b) => a * b,
  loop: products,
});

import { differences } from '../arithmetic.ts';
import { elementwise, numeric } from './elementwise.ts';

export const sub = elementwise({
  name: 'sub',
  doc: 'a - b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: numeric,
  f: (a, b) => a - b,
  loop: differences,
});

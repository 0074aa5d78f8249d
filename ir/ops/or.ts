import { elementwise, logical } from './elementwise.ts';

export const or = elementwise({
  name: 'or',
  doc: 'a or b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: logical,
  f: (a, b) => (a || b ? 1 : 0),
});

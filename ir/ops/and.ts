import { elementwise, logical } from './elementwise.ts';

export const and = elementwise({
  name: 'and',
  doc: 'a and b, broadcast.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: logical,
  f: (a, b) => (a && b ? 1 : 0),
});

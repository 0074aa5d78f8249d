import { elementwise, logical } from './elementwise.ts';

export const and = elementwise({
  name: 'and',
  doc: 'a and b, broadcast.',
  operands: ['a', 'b'],
  accepts: logical,
  f: (a, b) => (a && b ? 1 : 0),
});

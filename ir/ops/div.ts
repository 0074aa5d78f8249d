import { elementwise, floating } from './elementwise.ts';

export const div = elementwise({
  name: 'div',
  doc: 'a / b, broadcast.',
  operands: ['a', 'b'],
  accepts: floating,
  f: (a, b) => a / b,
});

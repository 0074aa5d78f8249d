import { elementwise, logical } from './elementwise.ts';

export const not = elementwise({
  name: 'not',
  doc: 'not x.',
  operands: ['x'],
  accepts: logical,
  f: (x) => (x ? 0 : 1),
});

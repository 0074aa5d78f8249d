import { elementwise, logical } from './elementwise.ts';

export const not = elementwise({
  name: 'not',
  doc: 'not x.',
  operands: ['x'],
  castPolicy: 'keep f32',
  accepts: logical,
  f: (x) => (x ? 0 : 1),
});

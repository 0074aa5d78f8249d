import { elementwise, numeric } from './elementwise.ts';

export const lessEqual = elementwise({
  name: 'less_equal',
  doc: 'a <= b, broadcast; a bool.',
  operands: ['a', 'b'],
  castPolicy: 'keep f32',
  accepts: numeric,
  result: 'bool',
  f: (a, b) => (a <= b ? 1 : 0),
});

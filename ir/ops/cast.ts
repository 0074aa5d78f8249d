import { dtype } from '../attr.ts';
import { primitive } from '../op.ts';
import { tensorType } from '../type.ts';

export const cast = primitive({
  name: 'cast',
  doc: 'Each element rounded to another dtype: ties to even for floats, towards zero for integers.',
  operands: ['x'],
  attrs: { to: dtype() },
  traits: ['elementwise'],
  castPolicy: 'keep f32',
  infer: ([x], { to }) => [tensorType(to, x!.shape)],
  evaluate: ([x]) => [{ shape: x!.shape, data: x!.data }],
});

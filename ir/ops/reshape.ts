import { dims } from '../attr.ts';
import { evaluateDim, sameProduct } from '../dim.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { printShape, printType, tensorType } from '../type.ts';

export const reshape = primitive({
  name: 'reshape',
  doc: 'The same elements in C order under another shape of the same size.',
  operands: ['x'],
  attrs: { shape: dims() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([x], { shape }) {
    expectType(sameProduct(x!.shape, shape), `reshape of ${printType(x!)} to ${printShape(shape)}: sizes differ`);
    return [tensorType(x!.dtype, shape)];
  },
  evaluate: ([x], { shape }, bindings) => [{ shape: shape.map((d) => evaluateDim(d, bindings)), data: x!.data }],
});

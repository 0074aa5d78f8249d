import { broadcastShapes, mapBroadcast } from '../broadcast.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { printType, tensorType } from '../type.ts';

export const where = primitive({
  name: 'where',
  doc: 'a where the condition holds, b elsewhere; all three broadcast.',
  operands: ['condition', 'a', 'b'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'follow all operands',
  infer(inputs) {
    const [condition, a, b] = inputs;
    expectType(
      condition!.dtype === 'bool' && a!.dtype === b!.dtype,
      `where of ${inputs.map(printType).join(', ')}: a bool and two of one dtype`,
    );
    return [tensorType(a!.dtype, broadcastShapes(inputs.map((t) => t.shape)))];
  },
  evaluate: (inputs) => [mapBroadcast(inputs, (condition, a, b) => (condition ? a : b))],
});

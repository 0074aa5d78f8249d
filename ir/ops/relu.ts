import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { lessEqual } from './less_equal.ts';
import { where } from './where.ts';

export const relu = composite({
  name: 'relu',
  doc: 'x where it is above 0, else 0; NaN stays NaN.',
  operands: ['x'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'follow any operand',
  infer([x]) {
    expectType(isFloat(x!.dtype), `relu of ${printType(x!)}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x]) {
    const zero = b.literal(x!.type.dtype, [], [0]);
    return [b.op(where, [b.op(lessEqual, [x!, zero], {}), zero, x!], {})];
  },
});

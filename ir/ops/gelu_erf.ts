import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { add } from './add.ts';
import { erf } from './erf.ts';
import { mul } from './mul.ts';

export const geluErf = composite({
  name: 'gelu_erf',
  doc: '0.5 x (1 + erf(x / sqrt(2))): the exact gelu (arXiv:1606.08415). PaliGemma uses gelu_tanh, even where a config says "gelu".',
  operands: ['x'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'compute',
  infer([x]) {
    expectType(isFloat(x!.dtype), `gelu_erf of ${printType(x!)}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x]) {
    const scalar = (value: number) => b.literal(x!.type.dtype, [], [value]);
    const gate = b.op(add, [b.op(erf, [b.op(mul, [x!, scalar(Math.SQRT1_2)], {})], {}), scalar(1)], {});
    return [b.op(mul, [b.op(mul, [x!, scalar(0.5)], {}), gate], {})];
  },
});

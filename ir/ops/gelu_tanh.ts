import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { add } from './add.ts';
import { mul } from './mul.ts';
import { tanh } from './tanh.ts';

export const geluTanh = composite({
  name: 'gelu_tanh',
  doc: '0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))): the tanh approximation of gelu (arXiv:1606.08415).',
  operands: ['x'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'compute',
  infer([x]) {
    expectType(isFloat(x!.dtype), `gelu_tanh of ${printType(x!)}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x]) {
    const scalar = (value: number) => b.literal(x!.type.dtype, [], [value]);
    const cube = b.op(mul, [b.op(mul, [x!, x!], {}), x!], {});
    const inner = b.op(
      mul,
      [b.op(add, [x!, b.op(mul, [cube, scalar(0.044715)], {})], {}), scalar(Math.sqrt(2 / Math.PI))],
      {},
    );
    const gate = b.op(add, [b.op(tanh, [inner], {}), scalar(1)], {});
    return [b.op(mul, [b.op(mul, [x!, scalar(0.5)], {}), gate], {})];
  },
});

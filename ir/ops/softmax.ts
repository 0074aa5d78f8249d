import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { printType, tensorType } from '../type.ts';

export const softmax = primitive({
  name: 'softmax',
  doc: 'exp(x - max) / sum(exp(x - max)) over the last axis.',
  operands: ['x'],
  attrs: {},
  traits: [],
  castPolicy: 'keep f32',
  infer([x]) {
    expectType(isFloat(x!.dtype) && x!.shape.length >= 1, `softmax of ${printType(x!)}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  evaluate([x]) {
    const width = x!.shape.at(-1)!;
    const data = new Float64Array(x!.data.length);
    for (let start = 0; start < data.length; start += width) {
      let max = -Infinity;
      for (let i = start; i < start + width; i++) max = Math.max(max, x!.data[i]!);
      let sum = 0;
      for (let i = start; i < start + width; i++) sum += data[i] = Math.exp(x!.data[i]! - max);
      for (let i = start; i < start + width; i++) data[i] = data[i]! / sum;
    }
    return [{ shape: x!.shape, data }];
  },
});

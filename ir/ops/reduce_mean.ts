import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { printType, tensorType } from '../type.ts';

export const reduceMean = primitive({
  name: 'reduce_mean',
  doc: 'The mean over the last axis, which stays with size 1.',
  operands: ['x'],
  attrs: {},
  traits: [],
  castPolicy: 'keep f32',
  infer([x]) {
    expectType(isFloat(x!.dtype) && x!.shape.length >= 1, `reduce_mean of ${printType(x!)}`);
    return [tensorType(x!.dtype, [...x!.shape.slice(0, -1), 1])];
  },
  evaluate([x]) {
    const width = x!.shape.at(-1)!;
    const data = new Float64Array(x!.data.length / width);
    for (let r = 0; r < data.length; r++) {
      let sum = 0;
      for (let i = r * width; i < (r + 1) * width; i++) sum += x!.data[i]!;
      data[r] = sum / width;
    }
    return [{ shape: [...x!.shape.slice(0, -1), 1], data }];
  },
});

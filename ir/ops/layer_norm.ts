import { float } from '../attr.ts';
import { sameDim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { add } from './add.ts';
import { div } from './div.ts';
import { mul } from './mul.ts';
import { reduceMean } from './reduce_mean.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';

export const layerNorm = composite({
  name: 'layer_norm',
  doc: '(x - mean) / sqrt(variance + epsilon) · scale + bias over the last axis (arXiv:1607.06450), biased variance.',
  operands: ['x', 'scale', 'bias'],
  attrs: { epsilon: float() },
  traits: [],
  castPolicy: 'keep f32',
  infer(inputs) {
    const [x, scale, bias] = inputs;
    const fits =
      isFloat(x!.dtype) &&
      x!.shape.length >= 1 &&
      [scale!, bias!].every(
        (t) => t.dtype === x!.dtype && t.shape.length === 1 && sameDim(t.shape[0]!, x!.shape.at(-1)!),
      );
    expectType(fits, `layer_norm of ${inputs.map(printType).join(', ')}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x, scale, bias], { epsilon }) {
    const centred = b.op(sub, [x!, b.op(reduceMean, [x!], {})], {});
    const variance = b.op(reduceMean, [b.op(mul, [centred, centred], {})], {});
    const root = b.op(sqrt, [b.op(add, [variance, b.literal(x!.type.dtype, [], [epsilon])], {})], {});
    return [b.op(add, [b.op(mul, [b.op(div, [centred, root], {}), scale!], {}), bias!], {})];
  },
});

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

export const rmsNorm = composite({
  name: 'rms_norm',
  doc: 'x / sqrt(mean(x²) + epsilon) · scale over the last axis (arXiv:1910.07467). Gemma’s stored offset needs 1 added first.',
  operands: ['x', 'scale'],
  attrs: { epsilon: float() },
  traits: [],
  castPolicy: 'keep f32',
  infer([x, scale]) {
    const fits = isFloat(x!.dtype) && scale!.dtype === x!.dtype && scale!.shape.length === 1 && x!.shape.length >= 1;
    expectType(
      fits && sameDim(x!.shape.at(-1)!, scale!.shape[0]!),
      `rms_norm of ${printType(x!)} with scale ${printType(scale!)}`,
    );
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x, scale], { epsilon }) {
    const meanSquare = b.op(reduceMean, [b.op(mul, [x!, x!], {})], {});
    const root = b.op(sqrt, [b.op(add, [meanSquare, b.literal(x!.type.dtype, [], [epsilon])], {})], {});
    return [b.op(mul, [b.op(div, [x!, root], {}), scale!], {})];
  },
});

import { float } from '../attr.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, sameType, tensorType } from '../type.ts';
import { add } from './add.ts';
import { rmsNorm } from './rms_norm.ts';

export const addRmsNorm = composite({
  name: 'add_rms_norm',
  doc: 'Two results: rms_norm(x + y, scale) and x + y itself, of one shape: what a layer adds to the residual stream, and the norm that reads it (SkipSimplifiedLayerNormalization of ONNX Runtime).',
  operands: ['x', 'y', 'scale'],
  attrs: { epsilon: float() },
  traits: [],
  castPolicy: 'keep f32',
  infer([x, y, scale], attrs) {
    expectType(sameType(x!, y!), `add_rms_norm of ${printType(x!)} and ${printType(y!)}`);
    const [normed] = rmsNorm.infer([x!, scale!], attrs);
    return [normed!, tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x, y, scale], attrs) {
    const sum = b.op(add, [x!, y!], {});
    return [b.op(rmsNorm, [sum, scale!], attrs), sum];
  },
});

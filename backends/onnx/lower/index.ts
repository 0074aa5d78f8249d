import type { Lowering } from '../../lowering.ts';
import { lowerCast } from './cast.ts';
import { lowerGeluErf, lowerGeluTanh, lowerLayerNorm, lowerRmsNorm, lowerRope } from './composites.ts';
import type { LoweringContext } from './context.ts';
import { same } from './elementwise.ts';
import { lowerConvolution, lowerGather, lowerLinear } from './products.ts';
import { quantizedRules } from './quantized.ts';
import { lowerReduceMean, lowerSoftmax } from './reductions.ts';
import { lowerConcat, lowerExpand, lowerReshape, lowerSlice, lowerTakeLast, lowerTranspose } from './shapes.ts';
import { lowerDimValue, lowerIota } from './sizes.ts';
import { lowerWhere } from './where.ts';

/** How each op is written in ONNX. */
export const lowering: Lowering<LoweringContext> = {
  add: same('Add'),
  and: same('And'),
  cast: lowerCast,
  concat: lowerConcat,
  conv2d: lowerConvolution,
  conv_transpose2d: lowerConvolution,
  dim_value: lowerDimValue,
  div: same('Div'),
  equal: same('Equal'),
  erf: same('Erf'),
  expand: lowerExpand,
  gather: lowerGather,
  gelu_erf: lowerGeluErf,
  gelu_tanh: lowerGeluTanh,
  iota: lowerIota,
  layer_norm: lowerLayerNorm,
  less_equal: same('LessOrEqual'),
  linear: (context, node) => lowerLinear(context, node),
  matmul: same('MatMul'),
  mul: same('Mul'),
  not: same('Not'),
  or: same('Or'),
  ...quantizedRules({}),
  reduce_mean: lowerReduceMean,
  relu: same('Relu'),
  reshape: lowerReshape,
  rms_norm: lowerRmsNorm,
  rope: lowerRope,
  slice: lowerSlice,
  softmax: lowerSoftmax,
  sqrt: same('Sqrt'),
  sub: same('Sub'),
  take_last: lowerTakeLast,
  tanh: same('Tanh'),
  transpose: lowerTranspose,
  where: lowerWhere,
};

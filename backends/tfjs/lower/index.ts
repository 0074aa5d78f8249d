import type { Lowering } from '../../lowering.ts';
import type { LoweringContext } from './context.ts';
import { lowerCast, lowerReduceMean, lowerSoftmax, lowerWhere, same } from './elementwise.ts';
import { lowerConv2d, lowerConvTranspose2d, lowerGather, lowerLinear, lowerMatmul } from './products.ts';
import { lowerDequantize, lowerQuantizedGather, lowerQuantizedLinear } from './quantized.ts';
import {
  lowerConcat,
  lowerDimValue,
  lowerExpand,
  lowerIota,
  lowerReshape,
  lowerSlice,
  lowerTakeLast,
  lowerTranspose,
} from './shapes.ts';
import { lowerUpdateCache } from './update_cache.ts';

/** How each op is written for tfjs: by ops that every one of its backends has a kernel for (check/). */
export const lowering: Lowering<LoweringContext> = {
  add: same('AddV2'),
  and: same('LogicalAnd'),
  cast: lowerCast,
  concat: lowerConcat,
  conv2d: lowerConv2d,
  conv_transpose2d: lowerConvTranspose2d,
  dequantize: lowerDequantize,
  dim_value: lowerDimValue,
  div: same('RealDiv'),
  equal: same('Equal'),
  erf: same('Erf'),
  expand: lowerExpand,
  gather: lowerGather,
  iota: lowerIota,
  less_equal: same('LessEqual'),
  linear: lowerLinear,
  matmul: lowerMatmul,
  mul: same('Mul'),
  not: same('LogicalNot'),
  or: same('LogicalOr'),
  quantized_gather: lowerQuantizedGather,
  quantized_linear: lowerQuantizedLinear,
  reduce_mean: lowerReduceMean,
  relu: same('Relu'),
  reshape: lowerReshape,
  slice: lowerSlice,
  softmax: lowerSoftmax,
  sqrt: same('Sqrt'),
  sub: same('Sub'),
  take_last: lowerTakeLast,
  tanh: same('Tanh'),
  transpose: lowerTranspose,
  update_cache: lowerUpdateCache,
  where: lowerWhere,
};

import type { AttrValues } from '../attr.ts';
import { add } from './add.ts';
import { addRmsNorm } from './add_rms_norm.ts';
import { and } from './and.ts';
import { appendCache } from './append_cache.ts';
import { attention } from './attention.ts';
import { cast } from './cast.ts';
import { concat } from './concat.ts';
import { conv2d } from './conv2d.ts';
import { convTranspose2d } from './conv_transpose2d.ts';
import { dequantize } from './dequantize.ts';
import { dimValue } from './dim_value.ts';
import { div } from './div.ts';
import { equal } from './equal.ts';
import { erf } from './erf.ts';
import { expand } from './expand.ts';
import { gather } from './gather.ts';
import { geluErf } from './gelu_erf.ts';
import { geluTanh } from './gelu_tanh.ts';
import { iota } from './iota.ts';
import { layerNorm } from './layer_norm.ts';
import { lessEqual } from './less_equal.ts';
import { linear } from './linear.ts';
import { matmul } from './matmul.ts';
import { mul } from './mul.ts';
import { not } from './not.ts';
import { or } from './or.ts';
import { quantizedGather } from './quantized_gather.ts';
import { quantizedLinear } from './quantized_linear.ts';
import { reduceMean } from './reduce_mean.ts';
import { relu } from './relu.ts';
import { reshape } from './reshape.ts';
import { rmsNorm } from './rms_norm.ts';
import { rope } from './rope.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';
import { takeLast } from './take_last.ts';
import { tanh } from './tanh.ts';
import { transpose } from './transpose.ts';
import { updateCache } from './update_cache.ts';
import { where } from './where.ts';

/** Every op, by name: one line each. */
export const ops = {
  add,
  add_rms_norm: addRmsNorm,
  and,
  append_cache: appendCache,
  attention,
  cast,
  concat,
  conv2d,
  conv_transpose2d: convTranspose2d,
  dequantize,
  dim_value: dimValue,
  div,
  equal,
  erf,
  expand,
  gather,
  gelu_erf: geluErf,
  gelu_tanh: geluTanh,
  iota,
  layer_norm: layerNorm,
  less_equal: lessEqual,
  linear,
  matmul,
  mul,
  not,
  or,
  quantized_gather: quantizedGather,
  quantized_linear: quantizedLinear,
  reduce_mean: reduceMean,
  relu,
  reshape,
  rms_norm: rmsNorm,
  rope,
  slice,
  softmax,
  sqrt,
  sub,
  take_last: takeLast,
  tanh,
  transpose,
  update_cache: updateCache,
  where,
} as const;

type Ops = typeof ops;
export type OpName = keyof Ops;
export type PrimitiveName = { [N in OpName]: Ops[N]['kind'] extends 'primitive' ? N : never }[OpName];
export type CompositeName = Exclude<OpName, PrimitiveName>;
export type AttrsOf<N extends OpName> = AttrValues<Ops[N]['attrs']>;

/** Whether the IR has an op of that name. */
export function isOpName(name: string): name is OpName {
  return Object.hasOwn(ops, name);
}

/** Whether the op is made of others: a backend need not have it. */
export function isComposite(name: OpName): name is CompositeName {
  return ops[name].kind === 'composite';
}

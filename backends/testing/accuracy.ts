import type { CompositeName, OpName, PrimitiveName } from '../../ir/ops/index.ts';
import { hasTrait, type OpWith } from '../../ir/ops/traits.ts';

/**
 * How far two right implementations of an op may differ:
 * - `exact`: not at all: nothing is computed but conditions and integers, or one value is rounded to another dtype.
 * - `rounded`: not at all where each operation is rounded as IEEE 754 says, which GPUs need not do for all.
 * - `approximate`: by the order of a sum, by functions good to a few units in the last place, by the steps that a
 *   runtime rounds between.
 */
export type Accuracy = 'exact' | 'rounded' | 'approximate';

/** Of primitives that compute: a new one does not compile without. Composites are approximate but for those here. */
const ACCURACIES: { readonly [N in Exclude<PrimitiveName, OpWith<'movement' | 'size'>>]: Accuracy } & {
  readonly [N in CompositeName]?: Accuracy;
} = {
  add: 'rounded',
  and: 'exact',
  cast: 'exact',
  conv2d: 'approximate',
  conv_transpose2d: 'approximate',
  dequantize: 'rounded',
  div: 'rounded',
  equal: 'exact',
  erf: 'approximate',
  less_equal: 'exact',
  linear: 'approximate',
  matmul: 'approximate',
  mul: 'rounded',
  not: 'exact',
  or: 'exact',
  quantized_gather: 'rounded',
  reduce_mean: 'approximate',
  softmax: 'approximate',
  sqrt: 'rounded',
  sub: 'rounded',
  tanh: 'approximate',
  where: 'exact',
};

/** What an op's results in a runtime are compared by: moved elements and sizes are exact unasked. */
export function accuracyOf(op: OpName): Accuracy {
  if (hasTrait(op, 'movement') || hasTrait(op, 'size')) return 'exact';
  return (Object.hasOwn(ACCURACIES, op) && ACCURACIES[op as keyof typeof ACCURACIES]) || 'approximate';
}

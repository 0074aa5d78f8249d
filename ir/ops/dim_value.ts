import { dim } from '../attr.ts';
import { evaluateDim } from '../dim.ts';
import { primitive } from '../op.ts';
import { tensorType } from '../type.ts';

export const dimValue = primitive({
  name: 'dim_value',
  doc: 'The value of a dimension as an i64 scalar.',
  operands: [],
  attrs: { dim: dim() },
  traits: ['size'],
  castPolicy: 'keep f32',
  infer: () => [tensorType('i64', [])],
  evaluate: (_, attrs, bindings) => [{ shape: [], data: Float64Array.of(evaluateDim(attrs.dim, bindings)) }],
});

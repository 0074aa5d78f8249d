import { dim } from '../attr.ts';
import { evaluateDim } from '../dim.ts';
import { primitive } from '../op.ts';
import { tensorType } from '../type.ts';

export const iota = primitive({
  name: 'iota',
  doc: 'The i64 vector 0, 1, ..., length - 1.',
  operands: [],
  attrs: { length: dim() },
  traits: ['size'],
  castPolicy: 'keep f32',
  infer: (_, { length }) => [tensorType('i64', [length])],
  evaluate(_, attrs, bindings) {
    const length = evaluateDim(attrs.length, bindings);
    return [{ shape: [length], data: Float64Array.from({ length }, (_, i) => i) }];
  },
});

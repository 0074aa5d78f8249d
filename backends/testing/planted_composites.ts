import { float } from '../../ir/attr.ts';
import { composite } from '../../ir/op.ts';
import { lessEqual } from '../../ir/ops/less_equal.ts';
import { mul } from '../../ir/ops/mul.ts';
import { where } from '../../ir/ops/where.ts';

/* Elementwise composites that the tree does not have, as their files in ir/ops would declare them. */

export const squaredRelu = composite({
  name: 'squared_relu',
  doc: 'max(x, 0)² (arXiv:2109.08668).',
  operands: ['x'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'compute',
  infer: ([x]) => [x!],
  decompose(b, [x]) {
    const zero = b.literal(x!.type.dtype, [], [0]);
    const positive = b.op(where, [b.op(lessEqual, [zero, x!], {}), x!, zero], {});
    return [b.op(mul, [positive, positive], {})];
  },
});

export const leakyRelu = composite({
  name: 'leaky_relu',
  doc: 'x where 0 ≤ x, slope · x elsewhere.',
  operands: ['x'],
  attrs: { slope: float() },
  traits: ['elementwise'],
  castPolicy: 'keep f32',
  infer: ([x]) => [x!],
  decompose(b, [x], { slope }) {
    const scalar = (value: number) => b.literal(x!.type.dtype, [], [value]);
    const isPositive = b.op(lessEqual, [scalar(0), x!], {});
    return [b.op(where, [isPositive, x!, b.op(mul, [x!, scalar(slope)], {})], {})];
  },
});

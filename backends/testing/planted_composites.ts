import { float } from '../../ir/attr.ts';
import { broadcastShapes } from '../../ir/broadcast.ts';
import { composite } from '../../ir/op.ts';
import { geluTanh } from '../../ir/ops/gelu_tanh.ts';
import { lessEqual } from '../../ir/ops/less_equal.ts';
import { mul } from '../../ir/ops/mul.ts';
import { reshape } from '../../ir/ops/reshape.ts';
import { where } from '../../ir/ops/where.ts';
import { tensorType } from '../../ir/type.ts';

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

/** Of two operands, and made of a composite. */
export const gatedGelu = composite({
  name: 'gated_gelu',
  doc: 'gelu_tanh(gate) · up, broadcast (arXiv:2002.05202).',
  operands: ['gate', 'up'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'follow all operands',
  infer: ([gate, up]) => [tensorType(gate!.dtype, broadcastShapes([gate!.shape, up!.shape]))],
  decompose: (b, [gate, up]) => [b.op(mul, [b.op(geluTanh, [gate!], {}), up!], {})],
});

/** Says what it is not: a step of it is no elementwise op. */
export const falselyElementwise = composite({
  name: 'falsely_elementwise',
  doc: 'x.',
  operands: ['x'],
  attrs: {},
  traits: ['elementwise'],
  castPolicy: 'keep f32',
  infer: ([x]) => [x!],
  decompose: (b, [x]) => [b.op(reshape, [x!], { shape: x!.type.shape })],
});

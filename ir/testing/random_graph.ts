import { GraphBuilder } from '../builder.ts';
import { mulDims, sym, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import type { Graph, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { sameType, tensorType } from '../type.ts';
import { bytesData, tensorData } from '../tensor.ts';
import { randomTensor } from './random.ts';

/** Numbers that choose; 0 once they run out, so that shrinking makes graphs smaller. */
type Choices = (count: number) => number;

/** A step adds a node over `x` (f32, last axis of known size), or returns undefined when it does not apply. */
type Step = (b: GraphBuilder, x: Value, choose: Choices, values: readonly Value[]) => Value | undefined;

const width = (x: Value) => x.type.shape.at(-1) as number;

function weight(b: GraphBuilder, shape: readonly number[], choose: Choices): Value {
  const data = tensorData(randomTensor('f32', shape, choose(1000)));
  return b.weight(
    'w',
    choose(2) === 0 ? data : { ...data, from: { file: 'a "b"\\c.npz', key: 'k/w', byteOffset: choose(100) } },
  );
}

const EDGE_VALUES = [
  Number.NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1e-45,
  3.4028234663852886e38,
  0.1,
  -1.5,
  1e21,
  2 ** -24,
  1 / 3,
];

const STEPS: readonly Step[] = [
  (b, x) => b.op(ops.tanh, [x], {}),
  (b, x) => b.op(ops.erf, [x], {}),
  (b, x) => b.op(ops.gelu_tanh, [x], {}),
  (b, x) => b.op(ops.gelu_erf, [x], {}),
  (b, x) => b.op(ops.softmax, [x], {}),
  (b, x) => b.op(ops.sqrt, [b.op(ops.mul, [x, x], {})], {}),
  (b, x) => b.op(ops.sub, [x, b.op(ops.reduce_mean, [x], {})], {}),
  (b, x, choose) =>
    b.op(
      [ops.add, ops.sub, ops.mul, ops.div][choose(4)]!,
      [x, b.literal('f32', [], [EDGE_VALUES[choose(EDGE_VALUES.length)]!])],
      {},
    ),
  (b, x, choose) =>
    b.op(
      ops.add,
      [
        x,
        b.literal(
          'f32',
          [1, width(x)],
          Array.from({ length: width(x) }, () => EDGE_VALUES[choose(EDGE_VALUES.length)]!),
        ),
      ],
      {},
    ),
  (b, _, choose) =>
    b.op(
      ops.mul,
      [b.literal('f32', [2], [0.5, 3]), b.literal('f32', [1], [EDGE_VALUES[choose(EDGE_VALUES.length)]!])],
      {},
    ),
  (b, x, choose, values) => {
    const other = values[choose(values.length)]!;
    return sameType(x.type, other.type)
      ? b.op(ops.where, [b.op(ops.less_equal, [x, other], {}), x, other], {})
      : undefined;
  },
  (b, x, choose) =>
    x.type.shape.length < 2 ? undefined : b.op(ops.linear, [x, weight(b, [1 + choose(4), width(x)], choose)], {}),
  (b, x, choose) => b.op(ops.rms_norm, [x, weight(b, [width(x)], choose)], { epsilon: 1e-6 }),
  (b, x, choose) =>
    b.op(ops.layer_norm, [x, weight(b, [width(x)], choose), weight(b, [width(x)], choose)], { epsilon: 1e-6 }),
  (b, x, choose) =>
    b.op(ops.cast, [b.op(ops.cast, [x], { to: (['f16', 'bf16', 'i64', 'i32', 'u4'] as const)[choose(5)]! })], {
      to: 'f32',
    }),
  (b, x) =>
    x.type.shape.length === 3
      ? b.op(ops.matmul, [b.op(ops.matmul, [x, b.op(ops.transpose, [x], { perm: [0, 2, 1] })], {}), x], {})
      : undefined,
  (b, x) => b.op(ops.slice, [x], { axis: x.type.shape.length - 1, begin: 0, end: Math.ceil(width(x) / 2) }),
  (b, x) => (width(x) > 16 ? undefined : b.op(ops.concat, [x, x, x], { axis: x.type.shape.length - 1 })),
  (b, x) => (x.type.shape.length > 4 ? undefined : b.op(ops.expand, [x], { shape: [2, ...x.type.shape] })),
  (b, x) => {
    const [first, second, ...rest] = x.type.shape;
    const merged: Dim | undefined = rest.length > 0 ? mulDims(first!, second!) : undefined;
    return merged === undefined ? undefined : b.op(ops.reshape, [x], { shape: [merged, ...rest] });
  },
  (b, x) =>
    b.op(
      ops.mul,
      [
        x,
        b.op(
          ops.cast,
          [
            b.op(ops.dim_value, [], {
              dim: {
                terms: [
                  ['batch', 2],
                  ['seq', -1],
                ],
                offset: 7,
              },
            }),
          ],
          { to: 'f32' },
        ),
      ],
      {},
    ),
  (b, _, choose) => b.op(ops.gather, [weight(b, [4, 3], choose), b.op(ops.iota, [], { length: 1 + choose(4) })], {}),
];

/** A valid graph over x: f32[batch, seq, 4], of as many steps as there are choices to make. */
export function randomGraph(numbers: readonly number[]): Graph {
  let at = 0;
  const choose: Choices = (count) => (numbers[at++] ?? 0) % count;
  const b = new GraphBuilder(['decoder', 'a graph "with" quotes'][choose(2)]!);
  const values = [b.input(['x', '', '%x y\n//'][choose(3)]!, tensorType('f32', [sym('batch'), sym('seq'), 4]))];
  b.weight('packed', bytesData('i4', [3], Uint8Array.of(1, 2)));
  while (at < numbers.length) {
    const x = values[values.length - 1 - choose(Math.min(values.length, 3))]!;
    const made = STEPS[choose(STEPS.length)]!(b, x, choose, values);
    if (made && isFloat(made.type.dtype)) values.push(made);
  }
  b.stage('first', values[0]!);
  b.output('last', values.at(-1)!);
  b.output('middle', values[Math.floor(values.length / 2)]!);
  return b.build();
}

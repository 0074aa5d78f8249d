import { describe, expect } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { addDims, evaluateDim, sym, type Dim } from '../../../ir/dim.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import { evaluateGraph } from '../../../ir/evaluate.ts';
import type { Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runKernel } from '../testing/run_kernel.ts';
import { fromStored, room, toStored, worst } from '../testing/stored.ts';
import { elementwiseKernel } from './elementwise.ts';
import { nodeExpression } from '../compile/node_expression.ts';
import { elementTypeOf } from './element_type.ts';
import type { ValueExpression } from './value_expression.ts';

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const total = addDims(past, seq);
const SIZES = { batch: 2, seq: 3, past: 4, capacity: 11 };

interface Case {
  readonly inputs: Readonly<
    Record<string, { readonly dtype: DType; readonly shape: readonly Dim[]; readonly tensor?: Tensor }>
  >;
  readonly build: (b: GraphBuilder, inputs: readonly Value[]) => Value;
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Makes the graph one kernel, and says how far it is from the evaluator. */
async function difference({ inputs, build, sizes = SIZES }: Case): Promise<number> {
  const bindings = new Map(Object.entries(sizes));
  const b = new GraphBuilder('one_kernel');
  const values = Object.entries(inputs).map(([name, { dtype, shape }]) => b.input(name, { dtype, shape }));
  b.output('y', build(b, values));
  const graph = b.build();
  const tensors = Object.values(inputs).map(
    ({ dtype, shape, tensor }, i) =>
      tensor ??
      randomTensor(
        dtype,
        shape.map((dim) => evaluateDim(dim, bindings)),
        i + 1,
      ),
  );
  const feeds = Object.fromEntries(Object.keys(inputs).map((name, i) => [name, tensors[i]!]));
  const expected = (await evaluateGraph(graph, feeds))['y']!;

  const expressions = new Map<Value, ValueExpression>();
  values.forEach((value, index) =>
    expressions.set(value, { kind: 'operand', index, type: elementTypeOf(value.type.dtype)!, shape: value.type.shape }),
  );
  for (const constant of graph.constants)
    if (constant.kind === 'literal')
      expressions.set(constant.value, {
        kind: 'literal',
        value: constant.tensor.data[0]!,
        type: elementTypeOf(constant.value.type.dtype)!,
        shape: constant.value.type.shape,
      });
  for (const node of graph.nodes)
    expressions.set(
      node.outputs[0]!,
      nodeExpression(
        node,
        node.inputs.map((input) => expressions.get(input)!),
      )!,
    );
  const result = expressions.get(graph.outputs[0]!.value)!;
  const kernel = elementwiseKernel({
    name: 'one_kernel',
    doc: 'test',
    operands: values.map((value) => elementTypeOf(value.type.dtype)!),
    result,
  });
  const out = room(result.shape, sizes);
  const buffers = await runKernel(await testDevice(), {
    kernel,
    sizes,
    buffers: [...tensors.map((tensor, i) => toStored(tensor, values[i]!.type.shape, sizes)), out],
  });
  return worst(fromStored(buffers.at(-1)!, result.type === 'f32' ? 'f32' : 'i32', result.shape, sizes), expected.data);
}

/** Keys that are there, not after the query nor `window` before it, or all of them when there is no past. */
function prefixMask(b: GraphBuilder, mask: Value, window: number): Value {
  const integer = (value: number) => b.literal('i64', [], [value]);
  const pastLength = b.op(ops.dim_value, [], { dim: past });
  const key = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, 1, 1, total] });
  const query = b.op(ops.reshape, [b.op(ops.add, [b.op(ops.iota, [], { length: seq }), pastLength], {})], {
    shape: [1, 1, seq, 1],
  });
  const near = b.op(
    ops.and,
    [
      b.op(ops.less_equal, [key, query], {}),
      b.op(ops.less_equal, [query, b.op(ops.add, [key, integer(window - 1)], {})], {}),
    ],
    {},
  );
  const visible = b.op(ops.or, [near, b.op(ops.equal, [pastLength, integer(0)], {})], {});
  const padding = b.op(ops.equal, [b.op(ops.reshape, [mask], { shape: [batch, 1, 1, total] }), integer(0)], {});
  const allowed = b.op(ops.and, [visible, b.op(ops.not, [padding], {})], {});
  return b.op(ops.where, [allowed, b.literal('f32', [], [0]), b.literal('f32', [], [-2.3819763e38])], {});
}

describe('scalar functions', () => {
  const count = 2001;
  const wide = tensorOf(
    'f32',
    [count],
    Float64Array.from({ length: count }, (_, i) => (i - 1000) / 80),
  );
  const of = (op: 'tanh' | 'erf' | 'gelu_tanh' | 'gelu_erf') =>
    difference({
      inputs: { x: { dtype: 'f32', shape: [count], tensor: wide } },
      build: (b, [x]) => b.op(ops[op], [x!], {}),
    });
  itOnGpu('are those of the evaluator to 3e-7', async () => {
    expect(await of('tanh')).toBeLessThan(3e-7);
    expect(await of('erf')).toBeLessThan(3e-7);
    expect(await of('gelu_tanh')).toBeLessThan(5e-7);
    expect(await of('gelu_erf')).toBeLessThan(5e-7);
  });
  itOnGpu('stay finite for large arguments', async () => {
    const large = tensorOf('f32', [4], [-1e30, -3e4, 3e4, 1e30]);
    for (const op of ['tanh', 'erf', 'gelu_tanh', 'gelu_erf'] as const)
      expect(
        await difference({
          inputs: { x: { dtype: 'f32', shape: [4], tensor: large } },
          build: (b, [x]) => b.op(ops[op], [x!], {}),
        }),
      ).toBeLessThan(1e-6);
  });
});

describe('elementwiseKernel', () => {
  const x = { dtype: 'f32', shape: [batch, seq, 5] } as const;
  itOnGpu('broadcasts operands of fewer axes and of size 1', async () => {
    const inputs = {
      x,
      row: { dtype: 'f32', shape: [5] },
      column: { dtype: 'f32', shape: [batch, 1, 1] },
      scalar: { dtype: 'f32', shape: [] },
    } as const;
    const build = (b: GraphBuilder, [a, row, column, scalar]: readonly Value[]) =>
      b.op(
        ops.div,
        [
          b.op(ops.sub, [b.op(ops.mul, [a!, row!], {}), column!], {}),
          b.op(ops.add, [b.op(ops.mul, [scalar!, scalar!], {}), b.literal('f32', [], [3])], {}),
        ],
        {},
      );
    expect(await difference({ inputs, build })).toBeLessThan(1e-6);
  });
  itOnGpu('casts between floats, integers and bools', async () => {
    const build = (b: GraphBuilder, [a]: readonly Value[]) => {
      const scaled = b.op(ops.mul, [a!, b.literal('f32', [], [5])], {});
      const integer = b.op(ops.cast, [scaled], { to: 'i64' });
      const isSet = b.op(ops.not, [b.op(ops.cast, [integer], { to: 'bool' })], {});
      const either = b.op(ops.or, [isSet, b.op(ops.equal, [integer, b.literal('i64', [], [-2])], {})], {});
      return b.op(
        ops.add,
        [
          b.op(ops.cast, [either], { to: 'f32' }),
          b.op(ops.cast, [b.op(ops.add, [integer, integer], {})], { to: 'f32' }),
        ],
        {},
      );
    };
    expect(await difference({ inputs: { x }, build })).toBe(0);
  });
  itOnGpu('stores and reads bools and integers, and subtracts sizes', async () => {
    const inputs = { a: { dtype: 'bool', shape: [batch, 1, past] }, b: { dtype: 'i64', shape: [seq, 1] } } as const;
    const size = {
      terms: [
        ['past', 2],
        ['seq', -1],
      ],
      offset: -7,
    } as const;
    const build = (b: GraphBuilder, [a, c]: readonly Value[]) =>
      b.op(ops.and, [a!, b.op(ops.less_equal, [c!, b.op(ops.dim_value, [], { dim: size })], {})], {});
    expect(await difference({ inputs, build, sizes: { batch: 2, seq: 3, past: 6, capacity: 7 } })).toBe(0);
  });
  itOnGpu('makes the mask of a prefix model with a window in one kernel, past 4 and 0', async () => {
    for (const sizes of [SIZES, { ...SIZES, past: 0 }]) {
      const attended = tensorOf(
        'i64',
        [2, sizes.past + 3],
        Array.from({ length: 2 * (sizes.past + 3) }, (_, i) => (i === 0 ? 0 : 1)),
      );
      const inputs = {
        mask: { dtype: 'i64', shape: [batch, total], tensor: attended },
        news: { dtype: 'f32', shape: [seq] },
        cached: { dtype: 'f32', shape: [past] },
      } as const;
      expect(await difference({ inputs, build: (b, [mask]) => prefixMask(b, mask!, 3), sizes })).toBe(0);
    }
  });
});

describe('movements', () => {
  const cache = { dtype: 'f32', shape: [batch, 3, past, 5] } as const;
  const news = { dtype: 'f32', shape: [batch, seq, 3, 5] } as const;
  itOnGpu('transpose', async () =>
    expect(
      await difference({ inputs: { news }, build: (b, [a]) => b.op(ops.transpose, [a!], { perm: [2, 3, 0, 1] }) }),
    ).toBe(0),
  );
  itOnGpu('reshape what grows to what is packed, and back', async () => {
    expect(
      await difference({
        inputs: { cache },
        build: (b, [a]) => b.op(ops.reshape, [b.op(ops.add, [a!, a!], {})], { shape: [batch, 15, past] }),
      }),
    ).toBeLessThan(1e-9);
    expect(
      await difference({
        inputs: { cache },
        build: (b, [a]) =>
          b.op(ops.transpose, [b.op(ops.reshape, [a!], { shape: [batch, past, 15] })], { perm: [1, 0, 2] }),
      }),
    ).toBe(0);
  });
  itOnGpu('concat of a cache and what is new, empty ones included, and of three', async () => {
    for (const sizes of [SIZES, { ...SIZES, past: 0 }])
      expect(
        await difference({
          inputs: { cache, news },
          build: (b, [a, c]) => b.op(ops.concat, [a!, b.op(ops.transpose, [c!], { perm: [0, 2, 1, 3] })], { axis: 2 }),
          sizes,
        }),
      ).toBe(0);
    const build = (b: GraphBuilder, [a]: readonly Value[]) =>
      b.op(ops.concat, [a!, b.op(ops.slice, [a!], { axis: 3, begin: 1, end: 3 }), a!], { axis: 3 });
    expect(await difference({ inputs: { news }, build })).toBe(0);
  });
  itOnGpu('slice, of one and of several entries', async () => {
    for (const [begin, end] of [
      [1, 3],
      [2, 3],
      [0, 2],
    ] as const)
      expect(
        await difference({ inputs: { cache }, build: (b, [a]) => b.op(ops.slice, [a!], { axis: 1, begin, end }) }),
      ).toBe(0);
  });
  itOnGpu('expand', async () => {
    const inputs = { a: { dtype: 'f32', shape: [batch, 1, past] } } as const;
    expect(
      await difference({ inputs, build: (b, [a]) => b.op(ops.expand, [a!], { shape: [4, batch, 3, past] }) }),
    ).toBe(0);
  });
  itOnGpu('take_last', async () => {
    const count = { dtype: 'i64', shape: [], tensor: tensorOf('i64', [], [2]) } as const;
    const build = (b: GraphBuilder, [a, c]: readonly Value[]) =>
      b.op(ops.take_last, [a!, c!], { axis: 1, kept: sym('kept') });
    expect(await difference({ inputs: { news, count }, build, sizes: { ...SIZES, kept: 2 } })).toBe(0);
  });
  itOnGpu('gather of floats by computed indices', async () => {
    const inputs = { table: { dtype: 'f32', shape: [7, 3] }, ids: { dtype: 'i64', shape: [batch, past] } } as const;
    expect(
      await difference({
        inputs,
        build: (b, [table, ids]) =>
          b.op(ops.gather, [table!, b.op(ops.add, [ids!, b.literal('i64', [], [2])], {})], {}),
      }),
    ).toBe(0);
  });
});

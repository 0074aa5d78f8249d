import { expect, it } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { DType } from '../../../ir/dtypes/index.ts';
import type { Graph, NodeOf } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { lowerAttention, lowerAttentionWide } from './attention.ts';
import { LoweringContext } from './context.ts';
import type { LiteralInitializer, OnnxGraph, OnnxNode } from './model.ts';

/** Two attentions of `dtype` over one mask of f32. */
function model(dtype: DType, softcap = 0): Graph {
  const b = new GraphBuilder('g');
  const operand = (name: string, shape: readonly number[]) => b.input(name, { dtype, shape });
  const bias = b.input('bias', { dtype: 'f32', shape: [1, 1, 3, 5] });
  for (const i of [0, 1]) {
    const [q, k, v] = [operand(`q${i}`, [1, 3, 4, 8]), operand(`k${i}`, [1, 2, 5, 8]), operand(`v${i}`, [1, 2, 5, 8])];
    b.output(`y${i}`, b.op(ops.attention, [q, k, v, bias], { softcap }));
  }
  return b.build();
}

function lowered(rule: typeof lowerAttention, dtype: DType, softcap?: number): OnnxGraph {
  const graph = model(dtype, softcap);
  const context = new LoweringContext(graph);
  for (const node of graph.nodes) rule(context, node as NodeOf<'attention'>);
  return context.finish();
}

const makerOf = ({ nodes }: OnnxGraph, tensor: string): OnnxNode | undefined =>
  nodes.find(({ outputs }) => outputs.includes(tensor));
const named = ({ nodes }: OnnxGraph, op: string) => nodes.filter(({ opType }) => opType === op);

it('a mask in f16 is made once, and bounded by the least of f16: -Infinity would make NaN of a row', () => {
  const graph = lowered(lowerAttention, 'f16');
  const masks = named(graph, 'Attention').map(({ inputs }) => inputs[3]!);
  expect(new Set(masks).size).toBe(1);
  const cast = makerOf(graph, masks[0]!)!;
  expect([cast.opType, cast.attributes]).toEqual(['Cast', { to: 10 }]);
  const bounded = makerOf(graph, cast.inputs[0]!)!;
  expect([bounded.opType, bounded.inputs[0]]).toEqual(['Max', 'bias']);
  const least = graph.initializers.find(({ name }) => name === bounded.inputs[1]) as LiteralInitializer;
  expect([least.dtype, new DataView(least.bytes.slice().buffer).getFloat32(0, true)]).toEqual(['f32', -65504]);
});

it('a mask of the operands’ dtype is taken as it is', () => {
  const graph = lowered(lowerAttention, 'f32');
  expect(named(graph, 'Attention').map(({ inputs }) => inputs)).toEqual([
    [expect.any(String), 'k0', 'v0', 'bias'],
    [expect.any(String), 'k1', 'v1', 'bias'],
  ]);
  expect([named(graph, 'Max'), named(graph, 'Cast')]).toEqual([[], []]);
});

it('operands are widened where the kernel would round scores, and the result is rounded', () => {
  const graph = lowered(lowerAttentionWide, 'f16');
  const [first] = named(graph, 'Attention');
  const [query, key, value, mask] = first!.inputs as [string, string, string, string];
  const widened = [makerOf(graph, query)!.inputs[0]!, key, value].map((tensor) => makerOf(graph, tensor)!);
  expect(widened.map(({ opType, inputs, attributes }) => [opType, inputs[0], attributes])).toEqual(
    ['q0', 'k0', 'v0'].map((name) => ['Cast', name, { to: 1 }]),
  );
  expect(mask).toBe('bias');
  expect(makerOf(graph, 'y0')).toMatchObject({ opType: 'Cast', attributes: { to: 10 } });
  expect(named(lowered(lowerAttentionWide, 'f32'), 'Cast')).toEqual([]);
});

it.each([lowerAttention, lowerAttentionWide])('heads come before positions, and q is scaled already: %o', (rule) => {
  const graph = lowered(rule, 'f32');
  expect(named(graph, 'Transpose').map(({ attributes }) => attributes)).toEqual(
    Array.from({ length: 4 }, () => ({ perm: [0, 2, 1, 3] })),
  );
  expect(named(graph, 'Attention').map(({ attributes }) => attributes)).toEqual(
    Array.from({ length: 2 }, () => ({ scale: { float: 1 } })),
  );
  expect(named(lowered(rule, 'f32', 50), 'Attention')[0]!.attributes).toEqual({
    scale: { float: 1 },
    softcap: { float: 50 },
  });
});

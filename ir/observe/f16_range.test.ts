import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import type { Graph } from '../graph.ts';
import { castFloats } from '../passes/cast_floats.ts';
import { runPasses } from '../passes/pipeline.ts';
import { parseGraph } from '../parse.ts';
import { tensorData, tensorOf, type Tensor } from '../tensor.ts';
import { F16_MARGIN, keptBytes, planF16, type F16Plan } from './f16_range.ts';
import { rangeCollector } from './ranges.ts';

const LIMIT = 65504 / F16_MARGIN;

/** Weights are multiples of the identity, the number at the end of their name: w4 is 4 · I, w0p001 is 0.001 · I. */
function graphOf(text: string): Graph {
  return parseGraph(text, {
    weight({ name, dtype, shape }) {
      const [rows, columns = 1] = shape as readonly [number, number?];
      const factor = Number(/\d[\dp]*$/.exec(name)![0].replace('p', '.'));
      return tensorData(
        tensorOf(
          dtype,
          shape,
          Array.from({ length: rows * columns }, (_, i) =>
            i % columns === Math.floor(i / columns) || columns === 1 ? factor : 0,
          ),
        ),
      );
    },
  });
}

async function planOf(graph: Graph, inputs: Readonly<Record<string, Tensor>>): Promise<F16Plan> {
  const { observe, ranges } = rangeCollector();
  await evaluateGraph(graph, inputs, { observe });
  return planF16([graph], ranges);
}

const named = ({ findings }: F16Plan) =>
  findings.map(({ value, kind, kept }) => `${kind} ${value} ${kept ? 'kept' : 'lost'}`);

const MLP = graphOf(`graph mlp {
  input %x: f32[1, 2]
  weight %gate1: f32[2, 2]
  weight %up1024: f32[2, 2]
  weight %down0p001: f32[2, 2]
  %gate: f32[1, 2] = linear %x, %gate1
  %act: f32[1, 2] = gelu_tanh %gate
  %up: f32[1, 2] = linear %x, %up1024
  %gated: f32[1, 2] = mul %act, %up
  %y: f32[1, 2] = linear %gated, %down0p001
  %sum: f32[1, 2] = add %x, %y
  output "sum" = %sum
}`);

test('a product of two fitting values is kept, with the layer that reads it, and its makers stay narrow', async () => {
  const x = tensorOf('f32', [1, 2], [20, 5]);
  const plan = await planOf(MLP, { x });
  expect(named(plan)).toEqual(['overflow up kept', 'overflow gated kept']);
  expect(plan.findings[1]!.range.absMax).toBeCloseTo(20 * 20480, 0);
  const cast = runPasses(MLP, [castFloats({ to: 'f16', keep: plan.keep })]);
  const types = Object.fromEntries(cast.constants.map(({ value }) => [value.name, value.type.dtype]));
  expect(types).toEqual({ gate1: 'f16', up1024: 'f32', down0p001: 'f32' });
  expect(keptBytes([MLP], plan.keep)).toBe(2 * 4 * 2);
  const [expected, plain, kept] = await Promise.all(
    [MLP, castFloats({ to: 'f16' }).run(MLP), cast].map(async (graph) => [
      ...(await evaluateGraph(graph, { x }))['sum']!.data,
    ]),
  );
  expect(plain![0]).toBe(Infinity);
  kept!.forEach((value, i) => expect(value).toBeCloseTo(expected![i]!, 3));
});

test('the margin decides: below it nothing is kept', async () => {
  const at = (x: number) => planOf(MLP, { x: tensorOf('f32', [1, 2], [x, 0]) }).then(named);
  expect(await at(LIMIT / 1024 / 8)).toEqual([]);
  expect(await at(LIMIT / 1024)).toContain('overflow up kept');
});

test('what is never narrow is never kept: sums of the residual stream and masks may be as large as they like', async () => {
  const graph = graphOf(`graph residual {
    input %x: f32[1, 2]
    weight %scale0: f32[2]
    weight %w1: f32[2, 2]
    %sum: f32[1, 2] = add %x, %x
    %normed: f32[1, 2] = rms_norm %sum, %scale0 {epsilon = 1e-6}
    %y: f32[1, 2] = linear %normed, %w1
    output "sum" = %sum
    output "y" = %y
  }`);
  expect(named(await planOf(graph, { x: tensorOf('f32', [1, 2], [1e15, 3]) }))).toEqual([]);
});

test('values that would all be zero stay; a single small one does not matter', async () => {
  const graph = graphOf(
    'graph tiny { input %x: f32[1, 2] weight %w0p000000001: f32[2, 2] weight %v1: f32[2, 2] %a: f32[1, 2] = linear %x, %w0p000000001 %b: f32[1, 2] = linear %a, %v1 output "b" = %b }',
  );
  expect(named(await planOf(graph, { x: tensorOf('f32', [1, 2], [1, 2]) }))).toEqual([
    'underflow a kept',
    'underflow b kept',
  ]);
  expect(named(await planOf(graph, { x: tensorOf('f32', [1, 2], [1, 1e5]) })), 'x itself is near the limit').toEqual([
    'overflow x kept',
  ]);
  expect(named(await planOf(graph, { x: tensorOf('f32', [1, 2], [0, 0]) })), 'zeros stay zeros').toEqual([]);
});

test('infinities and NaN of the f32 program are found and cannot be kept', async () => {
  const graph = graphOf('graph g { input %x: f32[2] %y: f32[2] = sqrt %x output "y" = %y }');
  const plan = await planOf(graph, { x: tensorOf('f32', [2], [-1, 4]) });
  expect(named(plan)).toEqual(['not finite y lost']);
  expect(plan.keep.size).toBe(0);
});

test('a value that the graph itself rounds cannot be kept', async () => {
  const graph = graphOf(
    'graph g { input %x: f32[2] %h: f16[2] = cast %x {to = f16} %y: f32[2] = cast %h {to = f32} output "y" = %y }',
  );
  expect(named(await planOf(graph, { x: tensorOf('f32', [2], [3e4, 4]) }))).toEqual([
    'overflow x lost',
    'overflow h lost',
    'overflow y lost',
  ]);
});

const ATTENTION = graphOf(`graph attention {
  input %q: f32[1, 1, 1, 2]
  input %past_key_values.0.key: f32[1, 1, past, 2]
  input %past_key_values.0.value: f32[1, 1, past, 2]
  input %k: f32[1, 1, 2, 2]
  input %v: f32[1, 1, 2, 2]
  %keys: f32[1, 1, past + 2, 2] = concat %past_key_values.0.key, %k {axis = 2}
  %values: f32[1, 1, past + 2, 2] = concat %past_key_values.0.value, %v {axis = 2}
  %y: f32[1, 1, 1, 2] = attention %q, %keys, %values {softcap = 0}
  output "y" = %y
  output "present.0.key" = %keys
  output "present.0.value" = %values
}`);

const attentionInputs = (k: readonly number[], v: readonly number[]) => ({
  q: tensorOf('f32', [1, 1, 1, 2], [300, 0]),
  'past_key_values.0.key': tensorOf('f32', [1, 1, 0, 2], []),
  'past_key_values.0.value': tensorOf('f32', [1, 1, 0, 2], []),
  k: tensorOf('f32', [1, 1, 2, 2], k),
  v: tensorOf('f32', [1, 1, 2, 2], v),
});
const cacheAs = (graph: Graph, inputs: Readonly<Record<string, Tensor>>) =>
  Object.fromEntries(
    graph.inputs.map(({ name, type }) => [name, tensorOf(type.dtype, inputs[name]!.shape, inputs[name]!.data)]),
  );

test('scores that overflow make attention compute in f32; queries, keys and the cache stay as they are', async () => {
  const inputs = attentionInputs([300, 0, 300.25, 0], [1, 2, 3, 4]); // scores 90000 and 90075: the second wins by far
  const plan = await planOf(ATTENTION, inputs);
  expect(named(plan)).toEqual(['scores y kept']);
  const kept = castFloats({ to: 'f16', keep: plan.keep }).run(ATTENTION);
  expect(kept.inputs.filter(({ name }) => name.startsWith('past')).map(({ type }) => type.dtype)).toEqual([
    'f16',
    'f16',
  ]);
  const plain = castFloats({ to: 'f16' }).run(ATTENTION);
  expect([...(await evaluateGraph(plain, cacheAs(plain, inputs)))['y']!.data]).toEqual([NaN, NaN]);
  expect([...(await evaluateGraph(kept, cacheAs(kept, inputs)))['y']!.data]).toEqual([3, 4]);
});

test('a cache that overflows has f32 ports on both sides', async () => {
  const plan = await planOf(ATTENTION, attentionInputs([1, 0, 1, 0], [1e6, 2, 1e6, 4]));
  const { inputs, outputs } = castFloats({ to: 'f16', keep: plan.keep }).run(ATTENTION);
  const ports = [
    ...inputs.map(({ name, type }) => [name, type.dtype]),
    ...outputs.map(({ name, value }) => [name, value.type.dtype]),
  ].filter(([name]) => /\./.test(name!));
  expect(Object.fromEntries(ports)).toEqual({
    'past_key_values.0.key': 'f16',
    'past_key_values.0.value': 'f32',
    'present.0.key': 'f16',
    'present.0.value': 'f32',
  });
  expect(plan.findings.every(({ kept }) => kept)).toBe(true);
});

import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import { parseGraph } from '../parse.ts';
import { tensorOf } from '../tensor.ts';
import type { Observation } from './observer.ts';

/** `mul` is what a step of the gelu before it is called when it is decomposed. */
const GRAPH = parseGraph(`graph g {
  input %x: f32[2]
  %y: f32[2] = gelu_tanh %x
  %mul: f32[2] = mul %y, %x
  %unused: f32[2] = sqrt %x
  output "z" = %mul
}`);
const x = tensorOf('f32', [2], [1, -2]);

test('inputs, then every result under its own name, steps of composites before their result; what nothing reads is not computed', async () => {
  const heard: (Omit<Observation, 'tensor'> & { data: number[] })[] = [];
  const { z } = await evaluateGraph(
    GRAPH,
    { x },
    { observe: ({ tensor, ...rest }) => void heard.push({ ...rest, data: [...tensor.data] }) },
  );
  const steps = heard.filter(({ step }) => step !== undefined);
  const whole = heard.filter(({ step }) => step === undefined);
  expect(whole.map(({ graph, value, op }) => [graph, value, op])).toEqual([
    ['g', 'x', 'input'],
    ['g', 'y', 'gelu_tanh'],
    ['g', 'mul', 'mul'],
  ]);
  expect(whole[0]!.data).toEqual([1, -2]);
  expect(whole[2]!.data).toEqual([...z!.data]);
  expect(new Set(steps.map(({ value, op, step }) => `${value} ${op} ${step}`))).toEqual(
    new Set(['y gelu_tanh mul', 'y gelu_tanh add', 'y gelu_tanh tanh']),
  );
  expect(heard.indexOf(whole[1]!)).toBe(heard.indexOf(steps.at(-1)!) + 1);
  expect(steps[0]!.data).toEqual([1, 4]);
});

test('what an observer throws ends the run', async () => {
  const stop = new Error('stop');
  const run = evaluateGraph(
    GRAPH,
    { x },
    {
      observe: ({ op }) => {
        if (op === 'gelu_tanh') throw stop;
      },
    },
  );
  await expect(run).rejects.toBe(stop);
});

test('a kernel computes in the place of an op, whose weights it gets unread', async () => {
  const graph = parseGraph(
    `graph g {
      input %x: f32[1, 2]
      input %v: f32[2, 2]
      weight %w: f32[2, 2]
      weight %b: f32[2]
      %y: f32[1, 2] = linear %x, %w, %b
      %z: f32[1, 2] = linear %y, %v
      output "y" = %y
      output "z" = %z
    }`,
    {
      weight: ({ dtype, shape }) => ({
        dtype,
        shape,
        byteLength: 4 * shape.reduce((a, b) => a * b, 1),
        async *chunks() {
          yield new Uint8Array(4 * shape.reduce((a, b) => a * b, 1));
        },
      }),
    },
  );
  const calls: string[] = [];
  const results = await evaluateGraph(
    graph,
    { x: tensorOf('f32', [1, 2], [1, 2]), v: tensorOf('f32', [2, 2], [1, 0, 0, 2]) },
    {
      kernels: {
        linear: async (operands) => {
          calls.push(operands.map((operand) => `${'chunks' in operand ? 'unread ' : ''}${operand.shape}`).join(' '));
          return [{ shape: [1, 2], data: new Float64Array([7, 8]) }];
        },
      },
    },
  );
  expect(calls).toEqual(['1,2 unread 2,2 unread 2', '1,2 2,2']);
  expect([...results['y']!.data]).toEqual([7, 8]);
  expect([...results['z']!.data]).toEqual([7, 8]);
});

test('what an observer promises is waited for before more is made', async () => {
  let writing = 0;
  await evaluateGraph(
    GRAPH,
    { x },
    {
      async observe() {
        expect(++writing).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        writing--;
      },
    },
  );
  expect(writing).toBe(0);
});

import { describe, expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import { sym } from './dim.ts';
import { evaluateGraph, evaluatorRunner } from './evaluate.ts';
import type { Program } from './graph.ts';
import { ops } from './ops/index.ts';
import { parseGraph } from './parse.ts';
import { tensorData, type TensorData } from './tensor.ts';
import { randomTensor } from './testing/random.ts';
import { tensor, valuesOf } from './testing/run_op.ts';
import { tensorType } from './type.ts';
import { concatRows } from './views/concat.ts';

/** Counts the bytes that are asked for, and the largest read at once. */
function watched(data: TensorData) {
  const reads = { bytes: 0, largest: 0 };
  const chunks: TensorData['chunks'] = (options) => {
    const size = (options?.end ?? data.byteLength) - (options?.begin ?? 0);
    reads.bytes += size;
    reads.largest = Math.max(reads.largest, size);
    return data.chunks(options);
  };
  return { data: { ...data, chunks }, reads };
}

describe('symbols', () => {
  const graph = parseGraph(`graph g {
    input %mask: i64[batch, past + seq]
    input %x: f32[batch, seq]
    %n: i64[] = dim_value {dim = past}
    %steps: i64[2*seq] = iota {length = 2*seq}
    output "n" = %n
    output "steps" = %steps
  }`);
  const mask = (length: number) => tensor('i64', Array<number>(length).fill(1), [1, length]);

  test('inputs bind each other, in any order', async () => {
    const results = await evaluateGraph(graph, { mask: mask(5), x: tensor('f32', [0, 0], [1, 2]) });
    expect(valuesOf(results['n']!)).toEqual([3]);
    expect(valuesOf(results['steps']!)).toEqual([0, 1, 2, 3]);
  });

  test('an empty past is a past', async () => {
    expect(valuesOf((await evaluateGraph(graph, { mask: mask(2), x: tensor('f32', [0, 0], [1, 2]) }))['n']!)).toEqual([
      0,
    ]);
  });

  test.each([
    ['a negative size', { mask: mask(1), x: tensor('f32', [0, 0], [1, 2]) }, '%mask has shape [1, 1]'],
    ['two batches', { mask: mask(2), x: tensor('f32', [0, 0], [2, 1]) }, '%x has shape [2, 1]'],
    ['another rank', { mask: mask(2), x: tensor('f32', [0, 0]) }, '%x has shape [2]'],
    ['another dtype', { mask: mask(2), x: tensor('f16', [0, 0], [1, 2]) }, 'input "x" is f16, not f32'],
    ['an input too few', { mask: mask(2) }, 'graph g needs the input "x"'],
    [
      'a shape that is not that of the data',
      { mask: mask(2), x: { ...tensor('f32', [0, 0]), shape: [1, 1] } },
      'input "x" has 2 elements for shape [1, 1]',
    ],
  ])('%s is refused', async (_, inputs, message) => {
    await expect(evaluateGraph(graph, inputs)).rejects.toThrow(message);
  });

  test('half a size is refused', async () => {
    const even = parseGraph('graph g { input %x: f32[2*pairs] output "x" = %x }');
    await expect(evaluateGraph(even, { x: tensor('f32', [1, 2, 3]) })).rejects.toThrow('%x has shape [3]');
  });

  test('a size that appears on the way is bound: what take_last kept', async () => {
    const last = parseGraph(`graph g {
      input %x: f32[seq]
      input %count: i64[]
      %y: f32[kept] = take_last %x, %count {axis = 0, kept = kept}
      %n: i64[] = dim_value {dim = kept}
      output "y" = %y
      output "n" = %n
    }`);
    expect(
      valuesOf((await evaluateGraph(last, { x: tensor('f32', [1, 2, 3]), count: tensor('i64', [0], []) }))['n']!),
    ).toEqual([3]);
  });
});

describe('what is not needed is not computed', () => {
  const dead = watched(tensorData(randomTensor('f32', [4, 4], 1)));
  const b = new GraphBuilder('g');
  const x = b.input('x', tensorType('f32', [1, 4]));
  const costly = b.op(ops.linear, [x, b.weight('w', dead.data)], {});
  b.stage('costly', costly);
  b.output('y', b.op(ops.mul, [x, x], {}));
  const graph = b.build();
  const inputs = { x: tensor('f32', [1, 2, 3, 4], [1, 4]) };

  test('a stage nobody asks for reads no weight', async () => {
    expect(Object.keys(await evaluateGraph(graph, inputs))).toEqual(['y']);
    expect(dead.reads.bytes).toBe(0);
  });

  test('an asked stage is returned, and its weight read once by a runner', async () => {
    const runner = evaluatorRunner({ graphs: [graph] } as unknown as Program);
    for (let run = 0; run < 3; run++)
      expect(Object.keys(await runner.run('g', inputs, { stages: ['costly'] }))).toEqual(['y', 'costly']);
    expect(dead.reads.bytes).toBe(64);
    await runner.dispose();
  });
});

test('outputs may be inputs, literals and weights, and one value may have two names', async () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', tensorType('f32', [sym('n')]));
  b.output('a', x);
  b.output('b', x);
  b.output('c', b.literal('i64', [], [7]));
  b.output('d', b.weight('w', tensorData(tensor('f16', [1, 2]))));
  const results = await evaluateGraph(b.build(), { x: tensor('f32', [5]) });
  expect(Object.values(results).map(valuesOf)).toEqual([[5], [5], [7], [1, 2]]);
});

describe('streamed weights', () => {
  test('linear is the same bit for bit, and never holds the weight whole', async () => {
    const block = tensorData(randomTensor('f32', [1, 4_000_000], 1)); // two rows are a step
    const whole = concatRows([block, block, block]);
    const { data, reads } = watched(whole);
    const b = new GraphBuilder('g');
    const x = b.input('x', tensorType('f32', [1, 4_000_000]));
    b.output('y', b.op(ops.linear, [x, b.weight('w', data), b.literal('f32', [3], [1, 2, 3])], {}));
    const inputs = { x: randomTensor('f32', [1, 4_000_000], 2) };
    const streamed = await evaluateGraph(b.build(), inputs, { streamBytes: 0 });
    expect(reads.largest).toBe(32_000_000);
    expect(await evaluateGraph(b.build(), inputs, { streamBytes: Infinity })).toEqual(streamed);
  });

  test('gather is the same, and reads only the rows it takes', async () => {
    const { data, reads } = watched(tensorData(randomTensor('bf16', [100, 8], 1)));
    const b = new GraphBuilder('g');
    const ids = b.input('ids', tensorType('i64', [sym('n')]));
    b.output('y', b.op(ops.gather, [b.weight('w', data), ids], {}));
    const inputs = { ids: tensor('i64', [99, 0, 99, 5]) };
    const streamed = await evaluateGraph(b.build(), inputs, { streamBytes: 0 });
    expect(reads.bytes).toBe(3 * 16);
    expect(await evaluateGraph(b.build(), inputs)).toEqual(streamed);
    await expect(evaluateGraph(b.build(), { ids: tensor('i64', [100]) }, { streamBytes: 0 })).rejects.toThrow(
      'index 100 of a table of 100 rows',
    );
  });
});

test('each result is rounded to its dtype before the next op reads it', async () => {
  const graph = parseGraph(`graph g {
    input %x: f16[1]
    literal %c: f16[] = 1
    %a: f16[1] = add %x, %c
    %b: f16[1] = add %a, %c
    output "b" = %b
  }`);
  expect(valuesOf((await evaluateGraph(graph, { x: tensor('f16', [2048]) }))['b']!)).toEqual([2048]);
});

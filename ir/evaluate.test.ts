import { describe, expect, test } from 'vitest';
import { GraphBuilder } from './builder.ts';
import { sym } from './dim.ts';
import { evaluateGraph, evaluateTogether, evaluatorRunner } from './evaluate.ts';
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

describe('runs that are computed together', () => {
  const weight = tensorData(randomTensor('f32', [6, 4], 1));
  /** A step of something with a cache: sums of products with all that was read, over a weight. */
  const graph = (() => {
    const b = new GraphBuilder('steps');
    const x = b.input('x', tensorType('f32', [sym('seq'), 4]));
    const past = b.input('past', tensorType('f32', [sym('past'), 6]));
    const y = b.op(ops.linear, [x, b.weight('w', weight)], {});
    const all = b.op(ops.concat, [past, y], { axis: 0 });
    const scores = b.op(ops.matmul, [y, b.op(ops.transpose, [all], { perm: [1, 0] })], {});
    b.output('scores', scores);
    b.output('present', all);
    b.stage('y', y);
    return b.build();
  })();
  const nothing = tensor('f32', [], [0, 6]);
  const rows = (count: number, seed: number) => randomTensor('f32', [count, 4], seed);

  test('give what they give one after the other, stages too', async () => {
    const [first, second] = [rows(5, 2), rows(1, 3)];
    const one = await evaluateGraph(graph, { x: first, past: nothing }, { stages: ['y'] });
    const two = await evaluateGraph(graph, { x: second, past: one['present']! });
    expect(
      await evaluateTogether(graph, [
        { inputs: { x: first, past: nothing }, stages: ['y'] },
        { inputs: { x: second, past: { run: 0, output: 'present' } } },
      ]),
    ).toEqual([one, two]);
  });

  test('give only the outputs that are asked for, and take the others all the same', async () => {
    const inputs = { x: rows(5, 2), past: nothing };
    const step = (seed: number, run: number) => ({ x: rows(1, seed), past: { run, output: 'present' } });
    const steps = [inputs, step(3, 0), step(4, 1), step(5, 0)];
    const whole = await evaluateTogether(
      graph,
      steps.map((each) => ({ inputs: each })),
    );
    const some = await evaluateTogether(
      graph,
      steps.map((each, i) => ({ inputs: each, outputs: ['scores'], ...(i === 0 && { stages: ['y'] }) })),
    );
    expect(some.map((results) => Object.keys(results))).toEqual([['scores', 'y'], ['scores'], ['scores'], ['scores']]);
    expect(some.map(({ scores }) => scores)).toEqual(whole.map(({ scores }) => scores));
    const last = evaluateTogether(graph, [
      { inputs, outputs: [] },
      { inputs: step(3, 0), outputs: ['present'] },
    ]);
    expect(await last).toEqual([{}, { present: whole[1]!['present'] }]);
  });

  test('wait for what an earlier run makes later than they ask for it', async () => {
    const b = new GraphBuilder('late');
    const x = b.input('x', tensorType('f32', [2]));
    const past = b.input('past', tensorType('f32', [2]));
    const sum = b.op(ops.add, [past, x], {});
    const scaled = b.op(ops.mul, [sum, b.literal('f32', [], [2])], {});
    b.output('present', b.op(ops.add, [scaled, x], {}));
    b.output('y', b.op(ops.sub, [scaled, x], {}));
    const late = b.build();
    const run = (value: number, before?: number) => ({
      inputs: {
        x: tensor('f32', [value, value]),
        past: before === undefined ? tensor('f32', [0, 0]) : { run: before, output: 'present' },
      },
    });
    const results = await evaluateTogether(late, [run(1), run(10), run(2, 0), run(3, 2), run(20, 1)]);
    const present = results.map((each) => each['present']!.data[0]);
    expect(present).toEqual([3, 30, (3 + 2) * 2 + 2, (12 + 3) * 2 + 3, (30 + 20) * 2 + 20]);
  });

  test('take what an earlier run only passes on', async () => {
    const b = new GraphBuilder('passing');
    const x = b.input('x', tensorType('f32', [2]));
    b.output('same', x);
    b.output('twice', b.op(ops.add, [x, x], {}));
    const passing = b.build();
    const results = await evaluateTogether(passing, [
      { inputs: { x: tensor('f32', [1, 2]) } },
      { inputs: { x: { run: 0, output: 'same' } } },
      { inputs: { x: { run: 1, output: 'same' } } },
    ]);
    expect(results.map((each) => [...each['twice']!.data])).toEqual([
      [2, 4],
      [2, 4],
      [2, 4],
    ]);
  });

  test('read each weight once', async () => {
    const reads = watched(weight);
    const b = new GraphBuilder('g');
    b.output('y', b.op(ops.linear, [b.input('x', tensorType('f32', [sym('n'), 4])), b.weight('w', reads.data)], {}));
    const run = (count: number) => ({ inputs: { x: rows(count, count) } });
    await evaluateTogether(b.build(), [run(1), run(2), run(3)], { streamBytes: 0 });
    expect(reads.reads.bytes).toBe(weight.byteLength);
  });

  test.each([
    ['of a run that is not there', { run: 3, output: 'present' }],
    ['of itself', { run: 0, output: 'present' }],
    ['of an output that is not there', { run: 0, output: 'y' }],
  ])('cannot take what comes %s', async (_, past) => {
    await expect(evaluateTogether(graph, [{ inputs: { x: rows(1, 1), past } }])).rejects.toThrow(/there is none/);
  });

  test('tell how far they are, and stop when they are told', async () => {
    const heard: number[] = [];
    let all = 0;
    await evaluateTogether(graph, [{ inputs: { x: rows(1, 1), past: nothing } }], {
      onProgress: (done, total) => {
        heard.push(done);
        all = total;
      },
    });
    expect(heard.at(-1)).toBe(all);
    expect(all).toBeGreaterThan(24);
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(
      evaluateTogether(graph, [{ inputs: { x: rows(1, 1), past: nothing } }], { signal: stop }),
    ).rejects.toThrow('enough');
  });

  test('leave what they return to whoever asked', async () => {
    const big = 600 * 1024;
    const b = new GraphBuilder('g');
    const x = b.input('x', tensorType('f32', [sym('n')]));
    const twice = b.op(ops.add, [x, x], {});
    b.output('twice', twice);
    b.output('four', b.op(ops.add, [twice, twice], {}));
    const four = b.build();
    const run = async (value: number) =>
      evaluateGraph(four, { x: { dtype: 'f32', shape: [big], data: new Float32Array(big).fill(value) } });
    const [one, two] = [await run(1), await run(2)];
    await run(3);
    expect([one['twice']!.data[5], one['four']!.data[5], two['four']!.data[big - 1]]).toEqual([2, 4, 8]);
    const again = await evaluateGraph(four, { x: one['four']! });
    await run(5);
    expect([one['four']!.data[7], again['four']!.data[7]]).toEqual([4, 16]);
  });

  test('use no memory again that a reshaped value still lies in', async () => {
    const big = 300 * 1024;
    const b = new GraphBuilder('g');
    const x = b.input('x', tensorType('f32', [big]));
    const twice = b.op(ops.add, [x, x], {});
    const square = b.op(ops.reshape, [twice], { shape: [2, big / 2] });
    const third = b.op(ops.add, [x, b.op(ops.mul, [x, x], {})], {});
    const all = b.op(ops.add, [square, b.op(ops.reshape, [third], { shape: [2, big / 2] })], {});
    b.output('all', b.op(ops.mul, [all, square], {}));
    const data = new Float32Array(big).fill(3);
    const { all: result } = await evaluateGraph(b.build(), { x: { dtype: 'f32', shape: [big], data } });
    expect(new Set(result!.data)).toEqual(new Set([(6 + 3 + 9) * 6]));
    expect(new Set(data)).toEqual(new Set([3]));
  });
});

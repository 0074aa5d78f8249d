import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Op } from '../../ir/op.ts';
import { ops } from '../../ir/ops/index.ts';
import { tensorData, tensorOf } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { expectClose } from '../testing/compare.ts';
import { floatOps } from '../testing/float_ops.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { programOf } from '../testing/tiny_program.ts';
import { runPasses } from '../../ir/passes/index.ts';
import { beforeLowering, lowerGraph } from './lower.ts';
import { registerPackedOp } from './packed/register.ts';
import { testEngine } from './testing/engine.ts';
import { loadedModel, runModel } from './testing/graph_model.ts';

describe('numbers that the host reads', () => {
  itOnGpu('stay there though kernels of the device take equal ones, in every run', async () => {
    const n = sym('n');
    const b = new GraphBuilder('positions');
    const mask = b.input('mask', { dtype: 'i64', shape: [n] });
    const count = b.input('count', { dtype: 'i64', shape: [] });
    const scalar = (value: number) => b.literal('i64', [], [value]);
    b.output('isOne', b.op(ops.equal, [mask, scalar(1)], {}));
    b.output('isZero', b.op(ops.equal, [mask, scalar(0)], {}));
    b.output('known', b.op(ops.equal, [mask, b.op(ops.dim_value, [], { dim: 2 })], {}));
    b.output('size', b.op(ops.equal, [mask, b.op(ops.dim_value, [], { dim: n })], {}));
    b.output('iota', b.op(ops.iota, [], { length: n }));
    b.output('last', b.op(ops.take_last, [mask, count], { axis: 0, kept: sym('kept') }));
    b.output(
      'rows',
      b.op(ops.gather, [b.weight('table', tensorData(tensorOf('f32', [4, 2], [0, 1, 2, 3, 4, 5, 6, 7]))), mask], {}),
    );
    b.output('expanded', b.op(ops.expand, [b.op(ops.reshape, [mask], { shape: [n, 1] })], { shape: [n, 2] }));
    const graph = b.build();
    const engine = await testEngine('webgpu');
    const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), { profile: 'std' });
    const model = await loadedModel(engine, lowered);
    // more than the 1000 elements under which tfjs computes on the host
    const inputs = { mask: randomTensor('i64', [1500], 1), count: tensorOf('i64', [], [2]) };
    const expected = await evaluatorRunner(programOf(graph)).run(graph.name, inputs);
    for (let run = 0; run < 2; run++) {
      const actual = await runModel(engine, model, lowered, graph, inputs);
      for (const [port, tensor] of Object.entries(expected))
        expectClose(port, actual[port], tensor, { absolute: 0, relative: 0 });
    }
    model.dispose();
  });
});

describe('codes with a scale a row that are both looked up and multiplied by', () => {
  it.each([
    ['u8', 'std'],
    ['i8', 'std'],
    ['u8', 'packed'],
    ['i8', 'packed'],
  ] as const)('are the same numbers to both: %s %s', async (dtype, profile) => {
    const b = new GraphBuilder('tied');
    const codes = b.weight(
      'codes',
      tensorData(
        tensorOf(
          dtype,
          [6, 1, 8],
          Array.from({ length: 48 }, (_, i) => ((37 * i) % 200) - (dtype === 'i8' ? 100 : 0)),
        ),
      ),
    );
    const scales = b.weight('scales', tensorData(randomTensor('f32', [6, 1], 3)));
    const ids = b.input('ids', { dtype: 'i64', shape: [sym('n')] });
    const rows = b.op(ops.quantized_gather, [codes, ids, scales], { format: 'int8', columns: 8 });
    b.output('rows', rows);
    b.output('products', b.op(ops.quantized_linear, [rows, codes, scales], { format: 'int8', columns: 8 }));
    const graph = b.build();
    const engine = await testEngine('cpu');
    registerPackedOp({ ...engine.tf, ...engine.converter });
    const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), { profile });
    const model = await loadedModel(engine, lowered);
    const inputs = { ids: tensorOf('i64', [3], [5, 0, 2]) };
    const actual = await runModel(engine, model, lowered, graph, inputs);
    for (const [port, tensor] of Object.entries(await evaluatorRunner(programOf(graph)).run(graph.name, inputs)))
      expectClose(port, actual[port], tensor, { absolute: 1e-5, relative: 1e-5 });
    model.dispose();
  });
});

describe('the largest element of an output', () => {
  const graph = (() => {
    const b = new GraphBuilder('head');
    const x = b.input('x', { dtype: 'f32', shape: [sym('n'), 3, 8] });
    b.output('logits', b.op(ops.linear, [x, b.weight('matrix', tensorData(randomTensor('f32', [21, 8], 3)))], {}));
    return b.build();
  })();

  it.each([false, true])('is found along the last axis, rows first: %s', async (rowsFirst) => {
    const engine = await testEngine('cpu');
    const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), {
      profile: 'std',
      largestOf: ['logits'],
      rowsFirst,
    });
    expect(lowered.weights.map(({ shape }) => shape)).toContainEqual(rowsFirst ? [21, 8] : [8, 21]);
    const model = await loadedModel(engine, lowered);
    const inputs = { x: randomTensor('f32', [2, 3, 8], 4) };
    const actual = await runModel(engine, model, lowered, graph, inputs);
    const { logits } = await evaluatorRunner(programOf(graph)).run(graph.name, inputs);
    const rows = Array.from({ length: 6 }, (_, i) => Array.from(logits!.data.slice(21 * i, 21 * (i + 1))));
    expect({ shape: actual['logits.best']!.shape, data: Array.from(actual['logits.best']!.data) }).toEqual({
      shape: [2, 3],
      data: rows.map((row) => row.indexOf(Math.max(...row))),
    });
    expectClose(
      'logits.max',
      actual['logits.max'],
      tensorOf(
        'f32',
        [2, 3],
        rows.map((row) => Math.max(...row)),
      ),
      { absolute: 2e-6, relative: 2e-6 },
    );
    model.dispose();
  });
});

describe('numbers at the edges', () => {
  const EDGES = [Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, 1, -1, 100];
  const pairs = EDGES.flatMap((x) => EDGES.map((y) => [x, y]));

  it.each((['cpu', 'wasm'] as const).flatMap((device) => floatOps.map((op) => ({ device, op }))))(
    '$op on $device is that of the evaluator',
    async ({ device, op: name }) => {
      const b = new GraphBuilder(name);
      const op: Op = ops[name];
      const values = op.operands.map((operand) => b.input(operand, { dtype: 'f32', shape: [sym('n'), 1] }));
      b.output('y', b.op(op, values, {}));
      const graph = b.build();
      const engine = await testEngine(device);
      const { graph: lowered } = lowerGraph(runPasses(graph, beforeLowering), { profile: 'std' });
      const model = await loadedModel(engine, lowered);
      const inputs = Object.fromEntries(
        values.map(({ name }, i) => [
          name,
          tensorOf(
            'f32',
            [pairs.length, 1],
            pairs.map((pair) => pair[i]!),
          ),
        ]),
      );
      const [actual, expected] = [
        await runModel(engine, model, lowered, graph, inputs),
        await evaluatorRunner(programOf(graph)).run(graph.name, inputs),
      ];
      expectClose(name, actual['y'], expected['y']!, { absolute: 2e-6, relative: 2e-6 });
      model.dispose();
    },
  );
});

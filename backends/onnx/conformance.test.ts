import { describe, expect, it } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Op } from '../../ir/op.ts';
import { ops, type OpName } from '../../ir/ops/index.ts';
import { tensorOf } from '../../ir/tensor.ts';
import { sym } from '../../ir/dim.ts';
import { open } from './run.ts';
import { accuracyOf } from '../testing/accuracy.ts';
import { expectClose } from '../testing/compare.ts';
import { floatOps } from '../testing/float_ops.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { opCases } from '../testing/op_cases.ts';
import { programOf } from '../testing/tiny_program.ts';
import { APPROXIMATE, EXACT, expectConformance, titled } from './testing/expect_conformance.ts';

describe('each op on the cpu equals the evaluator', () => {
  it('has cases for every op', () => {
    expect(
      Object.entries(opCases)
        .filter(([, cases]) => cases.every((c) => c.sizes.length === 0))
        .map(([name]) => name),
    ).toEqual([]);
  });

  it.each(titled)('$name: $title', async ({ name, opCase }) => {
    for (const dtype of opCase.dtypes ?? (['f32', 'f16'] as const))
      await expectConformance(
        name,
        dtype,
        'cpu',
        accuracyOf(name) === 'approximate' ? APPROXIMATE[dtype]! : EXACT,
        opCase,
      );
  });

  it.each<OpName>([...floatOps, 'softmax'])('%s of NaN, infinities, signed zeros and subnormals', async (name) => {
    const edges = [Number.NaN, Infinity, -Infinity, 0, -0, 2 ** -140, -(2 ** -149), 3.4e38, 1];
    const b = new GraphBuilder(name);
    const shape = [sym('n'), 1];
    const op: Op = ops[name];
    const values = op.operands.map((operand) => b.input(operand, { dtype: 'f32', shape }));
    b.output('y', b.op(op, values, {}));
    const program = programOf(b.build());
    await using bundle = await emittedBundle(program);
    const pairs = edges.flatMap((x) => edges.map((y) => [x, y]));
    const column = (i: number) =>
      tensorOf(
        'f32',
        [pairs.length, 1],
        pairs.map((pair) => pair[i]!),
      );
    const inputs = Object.fromEntries(values.map((value, i) => [value.name, column(i)]));
    const runner = await open(bundle.dir);
    const [actual, expected] = [await runner.run(name, inputs), await evaluatorRunner(program).run(name, inputs)];
    expectClose(name, actual['y'], expected['y']!, accuracyOf(name) === 'approximate' ? APPROXIMATE.f32! : EXACT);
    await runner.dispose();
  });
});

describe('weights in blocks by ONNX’s own ops equal the evaluator', () => {
  const weights = titled.filter(({ name }) => name === 'quantized_linear' || name === 'quantized_gather');
  it.each(weights)('cpu, $name: $title', async ({ name, opCase }) => {
    for (const dtype of ['f32', 'f16'] as const)
      await expectConformance(name, dtype, 'cpu', name === 'quantized_linear' ? APPROXIMATE[dtype]! : EXACT, opCase, {
        quantizedOps: 'qdq',
      });
  });
});

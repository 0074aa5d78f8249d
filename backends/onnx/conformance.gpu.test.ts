import { describe, expect, it } from 'vitest';
import type { DType } from '../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { formats, type FormatName } from '../../ir/formats/index.ts';
import type { Op } from '../../ir/op.ts';
import { ops, type OpName } from '../../ir/ops/index.ts';
import { tensorOf } from '../../ir/tensor.ts';
import { sym } from '../../ir/dim.ts';
import type { OnnxOptions } from './target.ts';
import type { Device } from './session.ts';
import { open } from './run.ts';
import { accuracyOf } from '../testing/accuracy.ts';
import { expectClose, type Tolerance } from '../testing/compare.ts';
import { floatOps } from '../testing/float_ops.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { opGraph, opInputs, type OpCase } from '../testing/op_case.ts';
import { opCases } from '../testing/op_cases.ts';
import { programOf } from '../testing/tiny_program.ts';

/** Moves, comparisons, casts, and operations that IEEE 754 rounds correctly. */
const EXACT: Tolerance = { absolute: 0, relative: 0 };
/**
 * f32: transcendental functions to a few units in the last place; sums of about ten products in another order. f16:
 * the evaluator rounds after each step of a composite, ONNX Runtime once at its end: a few units of 2^-11 of values
 * up to about 4.
 */
const APPROXIMATE: { readonly [D in DType]?: Tolerance } = {
  f32: { absolute: 2e-6, relative: 2e-6 },
  f16: { absolute: 4e-3, relative: 4e-3 },
};
/** GPUs divide and take roots to a few units in the last place (WGSL 1.0, 15.7.4), and contract a·b + c. */
const GPU: Tolerance = { absolute: 1e-5, relative: 1e-5 };

/** Codes of a codebook are refused: lower/quantized.test.ts. */
const hasCodebook = ({ attrs }: OpCase) => formats[attrs?.['format'] as FormatName]?.codebook !== undefined;
const titled = (Object.entries(opCases) as [OpName, (typeof opCases)[OpName]][]).flatMap(([name, cases]) =>
  cases.filter((opCase) => !hasCodebook(opCase)).map((opCase) => ({ name, title: opCase.title, opCase })),
);

async function expectConformance(
  name: OpName,
  dtype: DType,
  device: Device,
  tolerance: Tolerance,
  opCase: (typeof titled)[number]['opCase'],
  options: Omit<OnnxOptions, 'precision'> = {},
): Promise<void> {
  const graph = opGraph(name, opCase, dtype);
  const program = programOf(graph);
  await using bundle = await emittedBundle(program, 'fp32', undefined, options);
  const [runner, reference] = [await open(bundle.dir, { device }), evaluatorRunner(program)];
  for (const [seed, sizes] of opCase.sizes.entries()) {
    const inputs = opInputs(graph, sizes, 100 * seed);
    const [actual, expected] = [await runner.run(name, inputs), await reference.run(name, inputs)];
    for (const [port, tensor] of Object.entries(expected))
      expectClose(`${name} ${dtype} ${JSON.stringify(sizes)} ${port}`, actual[port], tensor, tolerance);
  }
  await runner.dispose();
}

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

describe('each op on webgpu equals the evaluator', () => {
  // SwiftShader has no f16: run.gpu.test.ts looks at what a bundle in f16 gets
  for (const { name, title, opCase } of titled.filter(({ opCase }) => opCase.attrs?.['to'] !== 'f16')) {
    const dtype = (opCase.dtypes ?? ['f32']).includes('f32') ? 'f32' : opCase.dtypes![0]!;
    itOnGpu(`${name}: ${title} (${dtype})`, () =>
      expectConformance(name, dtype, 'webgpu', dtype === 'f32' ? GPU : EXACT, opCase),
    );
  }
});

describe('weights in blocks by ONNX’s own ops equal the evaluator', () => {
  const weights = titled.filter(({ name }) => name === 'quantized_linear' || name === 'quantized_gather');
  it.each(weights)('cpu, $name: $title', async ({ name, opCase }) => {
    for (const dtype of ['f32', 'f16'] as const)
      await expectConformance(name, dtype, 'cpu', name === 'quantized_linear' ? APPROXIMATE[dtype]! : EXACT, opCase, {
        quantizedOps: 'qdq',
      });
  });
  for (const { name, title, opCase } of weights.filter(({ opCase }) => opCase.title.startsWith('u4')))
    itOnGpu(`webgpu, ${name}: ${title}`, () =>
      expectConformance(name, 'f32', 'webgpu', GPU, opCase, { quantizedOps: 'qdq' }),
    );
});

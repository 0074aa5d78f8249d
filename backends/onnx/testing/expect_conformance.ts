import type { DType } from '../../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import { formats, type FormatName } from '../../../ir/formats/index.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { OnnxOptions } from '../target.ts';
import type { Provider } from '../session.ts';
import { open } from '../run.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';
import { emittedBundle } from './emitted_bundle.ts';
import { opGraph, opInputs, type OpCase } from '../../testing/op_case.ts';
import { opCases } from '../../testing/op_cases.ts';
import { programOf } from '../../testing/tiny_program.ts';

/** Moves, comparisons, casts, and operations that IEEE 754 rounds correctly. */
export const EXACT: Tolerance = { absolute: 0, relative: 0 };
/**
 * f32: transcendental functions to a few units in the last place; sums of about ten products in another order. f16:
 * the evaluator rounds after each step of a composite, ONNX Runtime once at its end: a few units of 2^-11 of values
 * up to about 4.
 */
export const APPROXIMATE: { readonly [D in DType]?: Tolerance } = {
  f32: { absolute: 2e-6, relative: 2e-6 },
  f16: { absolute: 4e-3, relative: 4e-3 },
};
/** GPUs divide and take roots to a few units in the last place (WGSL 1.0, 15.7.4), and contract a·b + c. */
export const GPU: Tolerance = { absolute: 1e-5, relative: 1e-5 };

/** Codes of a codebook are refused: lower/quantized.test.ts. */
const hasCodebook = ({ attrs }: OpCase) => formats[attrs?.['format'] as FormatName]?.codebook !== undefined;
/** Cases that a bundle can have, with their titles. */
export const titled = (Object.entries(opCases) as [OpName, (typeof opCases)[OpName]][]).flatMap(([name, cases]) =>
  cases.filter((opCase) => !hasCodebook(opCase)).map((opCase) => ({ name, title: opCase.title, opCase })),
);

/** An op in a bundle on a device is within a tolerance of the evaluator. */
export async function expectConformance(
  name: OpName,
  dtype: DType,
  device: Provider,
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

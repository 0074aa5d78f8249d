import type { DType } from '../../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { Runner } from '../../backend.ts';
import { accuracyOf } from '../../testing/accuracy.ts';
import { expectClose, type Tolerance } from '../../testing/compare.ts';
import { opInputs } from '../../testing/op_case.ts';
import { programOf } from '../../testing/tiny_program.ts';
import type { DeviceCase, Holding } from './op_cases.ts';

/** Moves, comparisons, casts, and what IEEE 754 and WGSL round correctly. */
const EXACT: Tolerance = { absolute: 0, relative: 0 };
/**
 * GPUs divide and take roots to a few units in the last place (WGSL 1.0, 15.7.4), contract a·b + c, and add hundreds of
 * products in another order.
 */
const CLOSE: Tolerance = { absolute: 1e-5, relative: 1e-5 };
/** What the evaluator rounds to f16 is f32 here: a few units of 2^-11 of values up to about 4. */
const HALF: Tolerance = { absolute: 4e-3, relative: 4e-3 };
/**
 * What is a unit or two off where IEEE 754 is exact: WGSL does not ask for correct quotients and roots (the same
 * table), and drivers contract scale · (code - zero).
 */
const LOOSE: ReadonlySet<OpName> = new Set<OpName>(['dequantize', 'div', 'quantized_gather', 'sqrt']);

function toleranceOf(op: OpName, holding: Holding): Tolerance {
  const accuracy = accuracyOf(op);
  if (accuracy === 'exact') return EXACT;
  if (holding === 'f16') return HALF;
  return accuracy === 'rounded' && !LOOSE.has(op) ? EXACT : CLOSE;
}

/** What results are on the device: floats are f32, and 32 bits of an integer come back as i64. */
const HELD: { readonly [D in DType]?: DType } = { f16: 'f32', i32: 'i64' };

/** Runs a case with each of its sizes and fails where the evaluator says something else. */
export async function expectConformance(
  runner: Runner,
  { op, title, holding, opCase, graph }: DeviceCase,
): Promise<void> {
  const reference = evaluatorRunner(programOf(graph));
  const tolerance = toleranceOf(op, holding);
  for (const [seed, sizes] of opCase.sizes.entries()) {
    const inputs = opInputs(graph, sizes, 100 * seed);
    const [actual, expected] = [await runner.run(graph.name, inputs), await reference.run(graph.name, inputs)];
    for (const [port, tensor] of Object.entries(expected))
      expectClose(
        `${op}, ${title}, ${JSON.stringify(sizes)}: ${port}`,
        actual[port],
        { ...tensor, dtype: HELD[tensor.dtype] ?? tensor.dtype },
        tolerance,
      );
  }
}

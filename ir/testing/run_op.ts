import type { AttrSchema, AttrValues } from '../attr.ts';
import { GraphBuilder } from '../builder.ts';
import type { DType } from '../dtypes/index.ts';
import { evaluateGraph } from '../evaluate.ts';
import type { Op } from '../op.ts';
import { tensorOf, type Tensor } from '../tensor.ts';
import { tensorType } from '../type.ts';

/** Evaluates one op over tensors, composites through their decomposition, and rounds as graphs do. */
export async function runOp<A extends AttrSchema>(
  op: Op<string, A>,
  inputs: readonly Tensor[],
  attrs: AttrValues<A>,
): Promise<Tensor> {
  const b = new GraphBuilder('one_op');
  const operands = inputs.map(({ dtype, shape }, i) => b.input(`x${i}`, tensorType(dtype, shape)));
  b.output('y', b.op(op, operands, attrs));
  const results = await evaluateGraph(b.build(), Object.fromEntries(inputs.map((tensor, i) => [`x${i}`, tensor])));
  return results['y']!;
}

/** A tensor of nested-free values; the shape defaults to a vector. */
export function tensor(dtype: DType, values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return tensorOf(dtype, shape, values);
}

/** Elements as a plain list. */
export function valuesOf({ data }: Tensor): number[] {
  return [...data];
}

/**
 * Index of the first element further than `tolerance` from what is expected, relative to 1 or to its size; -1 when
 * there is none. NaN equals NaN.
 */
export function firstDifference(actual: Tensor, expected: readonly number[], tolerance: number): number {
  return expected.findIndex(
    (x, i) => !(Object.is(x, actual.data[i]) || Math.abs(x - actual.data[i]!) <= tolerance * Math.max(1, Math.abs(x))),
  );
}

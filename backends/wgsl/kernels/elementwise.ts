import type { ElementType } from '../bundle/plan.ts';
import type { Kernel } from './kernel.ts';
import type { ValueExpression } from './value_expression.ts';

export interface ElementwiseSpec {
  /** File stem: `attention_mask`, `transpose_0213`. */
  readonly name: string;
  /** The comment at the head. */
  readonly doc: string;
  /** Element types of the storage bindings that expressions call by index. At most 7. */
  readonly operands: readonly ElementType[];
  /** What is stored, at storedShape(result.shape). */
  readonly result: ValueExpression;
}

/** A kernel that makes a tensor of stored ones: bindings x0, x1, …, out. */
export function elementwiseKernel(_spec: ElementwiseSpec): Kernel {
  throw new Error('being written');
}

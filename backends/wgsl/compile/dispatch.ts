import type { Dim } from '../../../ir/dim.ts';
import type { Value } from '../../../ir/graph.ts';
import type { Kernel } from '../kernels/kernel.ts';

/** Memory that only the kernels of one region see. Identity is the object. */
export interface Scratch {
  readonly label: string;
  /** The product of these sizes is the number of f32. */
  readonly sizes: readonly Dim[];
}

/**
 * What a binding of a kernel is: a value that is stored (never an alias of another), a range of the weight store, or
 * scratch memory.
 */
export type Operand =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'range'; readonly range: number }
  | { readonly kind: 'scratch'; readonly scratch: Scratch };

/** One kernel with what it is bound to, in the order of its bindings. */
export interface Dispatch {
  readonly label: string;
  readonly kernel: Kernel;
  readonly operands: readonly Operand[];
}

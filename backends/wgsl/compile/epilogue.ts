import type { Value } from '../../../ir/graph.ts';
import type { Epilogue } from '../kernels/expression.ts';
import { operandsOf, type Tail } from './tail.ts';

/** Where the columns of a kernel lie in the rows that operands have. */
export interface Columns {
  /** Columns of a row of the whole result. */
  readonly columns: number;
  /** Of the kernel's first column. */
  readonly offset: number;
}

import type { Dim } from '../../../ir/dim.ts';
import type { Epilogue } from './expression.ts';
import type { Kernel } from './kernel.ts';
import type { MatrixForm } from './matrix_form.ts';

export interface GatherSpec {
  /** Sizes whose product is the number of ids. */
  readonly rows: readonly Dim[];
  readonly columns: number;
  readonly form: MatrixForm;
  /** Rows [first, first + count) of the table, a binding each: w0, w1, … Ids that lie in none are left as they are, for another kernel. */
  readonly parts: readonly { readonly first: number; readonly count: number }[];
  /** Of y0, row, column. */
  readonly epilogue: Epilogue;
}

/** Rows of a table as f32 [rows, columns]: bindings ids (i32), w0, w1, …, the epilogue's operands, out. */
export function gatherKernel(_spec: GatherSpec): Kernel {
  throw new Error('being written');
}

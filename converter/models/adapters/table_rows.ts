import type { TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { concatRows } from '../../../ir/views/concat.ts';
import { sliceRows } from '../../../ir/views/select.ts';

/** How many rows of the embedding mean something. A PaliGemmaConfig is one. */
export interface TableSizes {
  /** Tokens that carry meaning: 257152. */
  readonly vocabSize: number;
  /** With `<image>` and padding, as Hugging Face lays the table out: 257216. */
  readonly tableRows: number;
}

/**
 * Whether an adapter's table fits one of the base that has other rows: a big_vision base has none for `<image>` and
 * padding, which Hugging Face adds and no model reads (the picture takes the place of `<image>`, and logits end with
 * the vocabulary). Only those may be missing, on either side: an adapter with more rows than `tableRows` has tokens of
 * its own.
 */
export function rowsFit(rows: number, baseRows: number, table: TableSizes | undefined): boolean {
  if (rows === baseRows) return true;
  return table !== undefined && [rows, baseRows].every((n) => table.vocabSize <= n && n <= table.tableRows);
}

/**
 * An adapter's table with as many rows as the base's: what it has too many falls away, what it lacks stays the base's.
 */
export function withRowsOf(base: TensorData, table: TensorData): TensorData {
  const [rows, baseRows] = [table.shape[0]!, base.shape[0]!];
  if (rows >= baseRows) return sliceRows(table, 0, baseRows);
  return concatRows([castData(table, 'f32'), castData(sliceRows(base, rows, baseRows), 'f32')]);
}

import type { TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { concatRows } from '../../../ir/views/concat.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import type { Adapter } from './adapter.ts';
import { parseTensorName, type Part } from './tensor_name.ts';

/** How many rows of the embedding mean something. A PaliGemmaConfig is one. */
export interface TableSizes {
  /** Tokens that carry meaning, those that the adapter added among them: 257152. */
  readonly vocabSize: number;
  /** The id of the first row that no pretrained model reads: 257152. */
  readonly imageTokenId: number;
}

/**
 * Whether an adapter's part fits a table of the base that has other rows. A big_vision base has none for `<image>` and
 * padding, which Hugging Face adds and no model reads (the picture takes the place of `<image>`, and logits end with
 * the vocabulary). A whole table may bring rows for tokens of its own, too; what is added to rows needs them there.
 */
export function rowsFit(rows: number, baseRows: number, table: TableSizes | undefined, isWhole: boolean): boolean {
  if (rows === baseRows) return true;
  if (table === undefined || rows < table.vocabSize) return false;
  return baseRows >= (isWhole ? Math.min(table.imageTokenId, table.vocabSize) : table.vocabSize);
}

/** An adapter's table in place of the base's: rows that it lacks, which no model reads, stay the base's. */
export function withRowsOf(base: TensorData, table: TensorData): TensorData {
  const [rows, baseRows] = [table.shape[0]!, base.shape[0]!];
  if (rows >= baseRows) return table;
  return concatRows([castData(table, 'f32'), castData(sliceRows(base, rows, baseRows), 'f32')]);
}

/** Rows of the longest table that an adapter has a part for; 0 when it has none. */
export function tableRowsOf({ tensors }: Adapter, isTable: (parameter: string) => boolean): number {
  let rows = 0;
  for (const [name, { shape }] of tensors) {
    const { part, parameters } = parseTensorName(name);
    const axis = ROW_AXIS[part];
    if (axis !== undefined && parameters.some(isTable)) rows = Math.max(rows, shape[axis] ?? 0);
  }
  return rows;
}

/** The axis of a part that has one element for each row of the table. */
const ROW_AXIS: Readonly<Partial<Record<Part, number>>> = { full: 0, base_layer: 0, lora_B: 0, lora_embedding_A: 1 };

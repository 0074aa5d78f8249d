import type { GraphBuilder } from '../../../ir/builder.ts';
import type { Value } from '../../../ir/graph.ts';
import { hasImageWithin } from '../../../ir/metadata.ts';
import { ops } from '../../../ir/ops/index.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { concatRows, zeroData } from '../../../ir/views/concat.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import { MASKED } from './prefix_mask.ts';
import type { Vocabulary } from './vocabulary.ts';

type Ids = Pick<Vocabulary, 'vocabSize' | 'imageTokenId'>;

/**
 * The rows of a table [rows, D] that are tokens: [vocabSize, D]. That of `<image>` is zero where a fine-tune's tokens
 * lie behind it.
 */
export function tokenRows(table: TensorData, ids: Ids): TensorData {
  const { vocabSize, imageTokenId } = ids;
  const rows = sliceRows(table, 0, vocabSize);
  if (!hasImageWithin(ids)) return rows;
  const none = zeroData(rows.dtype, [1, ...rows.shape.slice(1)]);
  return concatRows([sliceRows(rows, 0, imageTokenId), none, sliceRows(rows, imageTokenId + 1, vocabSize)]);
}

/**
 * Logits [..., vocabSize] of which `<image>`, where it lies among the tokens, is never the largest. A sum, so that a
 * row of NaN stays one.
 */
export function maskImage(b: GraphBuilder, logits: Value, ids: Ids): Value {
  if (!hasImageWithin(ids)) return logits;
  const columns = b.op(ops.iota, [], { length: ids.vocabSize });
  const isImage = b.op(ops.equal, [columns, b.literal('i64', [], [ids.imageTokenId])], {});
  const mask = b.op(ops.where, [isImage, b.literal('f32', [], [MASKED]), b.literal('f32', [], [0])], {});
  return b.op(ops.add, [logits, mask], {});
}

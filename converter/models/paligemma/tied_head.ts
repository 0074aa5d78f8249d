import { CHUNK_BYTES, readBytes, type TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import type { Inference } from '../family.ts';
import { tokenRows } from './token_rows.ts';
import type { Vocabulary } from './vocabulary.ts';
import type { CanonicalWeights } from './weights.ts';

export interface ResolvedHead {
  /** `lm.head` is there only when it is not the embedding. */
  readonly weights: CanonicalWeights;
  readonly inference: Inference;
  /** A head was there and is the embedding, by its values or, where they were not read, taken for it. */
  readonly equal?: { readonly compared: boolean } | undefined;
  readonly warnings: readonly string[];
}

/**
 * Whether the head is the embedding: absent means so; present, the rows of all tokens are compared, since
 * checkpoints carry equal heads, and transformers 5 uses a different one (spec D.1). Reads two tables at most, in
 * pieces.
 */
export async function resolveHead(
  weights: CanonicalWeights,
  ids: Pick<Vocabulary, 'vocabSize' | 'imageTokenId'>,
  compare = true,
): Promise<ResolvedHead> {
  const head = weights.get('lm.head');
  const field = 'head';
  if (!head)
    return { weights, inference: { field, value: 'tied', from: 'the checkpoint has no lm_head' }, warnings: [] };
  if (!compare || (await sameValues(tokenRows(head, ids), tokenRows(weights.get('lm.embed')!, ids)))) {
    const tied = new Map(weights);
    tied.delete('lm.head');
    return {
      weights: tied,
      inference: {
        field,
        value: 'tied',
        from: compare ? 'lm_head holds the values of the embedding' : 'lm_head, not compared with the embedding yet',
      },
      equal: { compared: compare },
      warnings: [],
    };
  }
  return {
    weights,
    inference: { field, value: 'untied', from: 'lm_head differs from the embedding' },
    warnings: [
      'lm_head differs from the embedding and is converted as a matrix of its own, as transformers 5 loads it; older versions ignored it.',
    ],
  };
}

async function sameValues(a: TensorData, b: TensorData): Promise<boolean> {
  const [left, right] = a.dtype === b.dtype ? [a, b] : [castData(a, 'f32'), castData(b, 'f32')];
  if (left.byteLength !== right.byteLength) return false;
  for (let begin = 0; begin < left.byteLength; begin += CHUNK_BYTES) {
    const range = { begin, end: Math.min(begin + CHUNK_BYTES, left.byteLength) };
    if (Buffer.compare(await readBytes(left, range), await readBytes(right, range)) !== 0) return false;
  }
  return true;
}

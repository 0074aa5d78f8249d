import { hasImageWithin, type ProgramMetadata } from '../ir/metadata.ts';
import type { Tensor } from '../ir/tensor.ts';
import { VerifyError } from './error.ts';

/** Any mask is below: the least that f16 has is -65504, and no logit comes near. */
const MASKED_BELOW = -60_000;

type Ids = Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>;

/**
 * Logits [..., V] in which `<image>` counts as no token: its column, where it lies among the tokens, gets the smallest
 * value of the row. A mask would be the largest number in every norm, and what an original says there is nobody's.
 */
export function withoutImage(logits: Tensor, ids: Ids): Tensor {
  if (!hasImageWithin(ids)) return logits;
  const data = logits.data.slice();
  for (const { at, smallest } of rowsWithImage(logits, ids)) data[at] = smallest;
  return { ...logits, data };
}

/**
 * The same of what a bundle computes. @throws VerifyError where `<image>` is not masked: a client would say it
 */
export function maskedImage(logits: Tensor, ids: Ids, description: string): Tensor {
  for (const { at } of rowsWithImage(logits, ids))
    if (logits.data[at]! > MASKED_BELOW)
      throw new VerifyError(
        'bad_output',
        `${description} gives <image>, token ${ids.imageTokenId}, the logit ${logits.data[at]}: it is not masked`,
        'convert again: the bundle does not hold what the model gives',
      );
  return withoutImage(logits, ids);
}

/**
 * For each row, where the logit of `<image>` is, and the smallest of the others, NaN where they are all NaN; no rows
 * where it has no column.
 */
function rowsWithImage(
  { shape, data }: Tensor,
  ids: Ids,
): readonly { readonly at: number; readonly smallest: number }[] {
  const width = shape.at(-1) ?? 1;
  if (!hasImageWithin(ids) || width <= ids.imageTokenId) return [];
  return Array.from({ length: data.length / width }, (_, row) => {
    const at = row * width + ids.imageTokenId;
    let smallest = Infinity;
    for (let i = row * width; i < (row + 1) * width; i++) if (i !== at && data[i]! < smallest) smallest = data[i]!;
    return { at, smallest: smallest === Infinity ? Number.NaN : smallest };
  });
}

import type { PaddedRows } from './padded_rows.ts';

/** `count` rows of a picture's features, from its `row` on, that take the place of image tokens from `start` on. */
export interface FeaturePlace {
  /** Among all tokens of the padded rows. */
  readonly start: number;
  readonly count: number;
  readonly image: number;
  readonly row: number;
}

/** Where features go, in order: unbroken runs of image tokens, cut where a picture of `imageTokens` rows ends. */
export function featurePlaces(
  { inputIds, attentionMask }: PaddedRows,
  { imageTokenId, imageTokens }: { readonly imageTokenId: number; readonly imageTokens: number },
): readonly FeaturePlace[] {
  const places: { start: number; count: number; image: number; row: number }[] = [];
  let feature = 0;
  for (let i = 0; i < inputIds.length; i++) {
    if (inputIds[i] !== imageTokenId || attentionMask[i] === 0) continue;
    const [image, row] = [Math.floor(feature / imageTokens), feature % imageTokens];
    const last = places.at(-1);
    if (last && row > 0 && last.start + last.count === i) last.count++;
    else places.push({ start: i, count: 1, image, row });
    feature++;
  }
  return places;
}

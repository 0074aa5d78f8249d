import type { AnswerObject } from '../../backends/client/answers/objects.ts';
import type { PictureSize } from '../../backends/client/answers/place_box.ts';
import { wholeMask } from '../images/mask_files.ts';
import { seenIn } from './answer_masks.ts';

/**
 * Raw masks of `masksOf` in their picture, as the official evaluation pastes them: [height, width] of each object;
 * empty for one without a mask.
 */
export function pastedMasks(
  objects: readonly AnswerObject[],
  raw: readonly (Float32Array | undefined)[],
  size: PictureSize,
): readonly Uint8Array[] {
  return seenIn(size, objects, raw).map((seen) =>
    seen.mask ? wholeMask({ ...seen, mask: seen.mask }, size) : new Uint8Array(size.width * size.height),
  );
}

/** Intersection over union of two masks of one size; of two empty ones 1. */
export function maskIou(a: Uint8Array, b: Uint8Array): number {
  let [both, either] = [0, 0];
  a.forEach((there, i) => {
    if (there && b[i]) both++;
    if (there || b[i]) either++;
  });
  return either === 0 ? 1 : both / either;
}

/**
 * How well the masks of an answer fit those that are expected: each is paired with one at most, the pairs that overlap
 * most first, and the sum of their overlaps is divided by the larger number of the two. So an object that is missing
 * and one too many are 0 each.
 */
export function maskOverlap(found: readonly Uint8Array[], expected: readonly Uint8Array[]): number {
  const count = Math.max(found.length, expected.length);
  if (count === 0) return 1;
  const pairs = found
    .flatMap((a, i) => expected.map((b, j) => ({ i, j, iou: maskIou(a, b) })))
    .toSorted((a, b) => b.iou - a.iou);
  const [usedFound, usedExpected] = [new Set<number>(), new Set<number>()];
  let sum = 0;
  for (const { i, j, iou } of pairs) {
    if (usedFound.has(i) || usedExpected.has(j)) continue;
    usedFound.add(i);
    usedExpected.add(j);
    sum += iou;
  }
  return sum / count;
}

import type { VerifyCase } from '../../verify/cases.ts';
import type { Outcome } from '../../verify/run_case.ts';

/** A recorded case as plain numbers, which go into a page. */
export interface PageCase {
  readonly name: string;
  /** Ids of each row without its padding. */
  readonly rows: readonly (readonly number[])[];
  /** Each picture, [3, size, size]. */
  readonly pictures: readonly (readonly number[])[];
  readonly steps: number;
}

/** What a page found. */
export interface PageResult {
  /** Of each picture, row after row. */
  readonly features: readonly (readonly number[])[];
  /** Of the last position of the prompt, [rows, vocabulary]. */
  readonly logits: readonly number[];
  readonly tokens: readonly (readonly (number | undefined)[])[];
}

/** @param imageTokenId of the bundle: recordings may have another */
export function pageCase(
  { name, inputIds, attentionMask, pixelValues, imageTokenId: recorded, maxNewTokens }: VerifyCase,
  imageTokenId: number,
): PageCase {
  const [batch, length] = inputIds.shape as [number, number];
  const pixels = pixelValues.data.length / pixelValues.shape[0]!;
  return {
    name,
    rows: Array.from({ length: batch }, (_, row) =>
      Array.from({ length }, (_unused, t) => row * length + t).flatMap((i) =>
        attentionMask.data[i] === 0 ? [] : [inputIds.data[i] === recorded ? imageTokenId : inputIds.data[i]!],
      ),
    ),
    pictures: Array.from({ length: pixelValues.shape[0]! }, (_, i) =>
      Array.from(pixelValues.data.subarray(i * pixels, (i + 1) * pixels)),
    ),
    steps: maxNewTokens,
  };
}

/** Largest differences of a page's results from what was recorded. */
export function differences(
  found: PageResult,
  { imageFeatures, prefillLogits, greedy }: Outcome,
): { readonly features: number; readonly logits: number; readonly tokens: boolean } {
  const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    a.length === b.length
      ? Array.from(a, (x, i) => Math.abs(x - b[i]!)).reduce(
          (most, x) => Math.max(most, Number.isNaN(x) ? Infinity : x),
          0,
        )
      : Infinity;
  const [rows, kept, vocabulary] = prefillLogits!.shape as [number, number, number];
  const last = Array.from({ length: rows }, (_, row) =>
    Array.from(prefillLogits!.data.subarray(((row + 1) * kept - 1) * vocabulary, (row + 1) * kept * vocabulary)),
  ).flat();
  return {
    features: worst(found.features.flat(), imageFeatures!.data),
    logits: worst(found.logits, last),
    tokens: JSON.stringify(found.tokens) === JSON.stringify(greedy!.tokens),
  };
}

import type { ProgramMetadata } from '../../ir/metadata.ts';

/**
 * What sizes of a model may be, far beyond any PaliGemma: pictures, caches and masks are made by them before a graph
 * could refuse them, and whoever made a bundle states them.
 */
const MOST: Readonly<Partial<Record<keyof ProgramMetadata, number>>> = {
  imageSize: 2048,
  imageTokens: 1 << 16,
  imageTokenId: 1 << 24,
  vocabSize: 1 << 24,
  layers: 1 << 12,
  kvHeads: 1 << 10,
  headDim: 1 << 12,
  hiddenSize: 1 << 16,
  maxPositions: 1 << 18,
  retrievalWidth: 1 << 16,
  maskSize: 1 << 12,
};

/** What is wrong with the sizes that a bundle states, in words; undefined where nothing is. */
export function sizeProblem(model: ProgramMetadata): string | undefined {
  for (const [field, most] of Object.entries(MOST) as [keyof ProgramMetadata, number][]) {
    const value = model[field];
    if (typeof value === 'number' && !(value <= most)) return `${field} is ${value}, at most ${most} is read`;
  }
  return undefined;
}

/**
 * The same by the bytes that its files hold: they have a row of 4 bits or more for each token, and norms of each layer.
 */
export function sizeProblemFor(model: ProgramMetadata, storedBytes: number): string | undefined {
  const { vocabSize, hiddenSize, layers } = model;
  const least = (vocabSize * hiddenSize) / 2 + layers * hiddenSize;
  return (
    sizeProblem(model) ??
    (storedBytes < least
      ? `a model of ${layers} layers, ${vocabSize} tokens and width ${hiddenSize} has ${least} bytes at least, the files have ${storedBytes}`
      : undefined)
  );
}

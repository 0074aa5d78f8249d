import type { ProgramMetadata } from '../../../ir/graph.ts';

/** A runtime with a model in it. One call at a time, and nothing is at work on the device when a call has ended. */
export interface Side {
  /** `pgconv int4`, `onnxruntime q4f16` */
  readonly name: string;
  /** What it does in each stage, for readers of the figures. */
  readonly does: string;
  /** A picture, f32 [3, S, S], through the tower. */
  encode(pixels: Float32Array): Promise<void>;
  /**
   * A prompt that begins with that picture, up to the logits of its last token on the host: of the vocabulary alone.
   */
  prefill(tokens: readonly number[]): Promise<ArrayLike<number>>;
  /**
   * Greedy tokens: one from the logits that are there, and one for each of `steps` further ones. To be called after
   * `prefill`.
   */
  decode(steps: number): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** The same for all sides: a picture of a slow wave, its tokens, and `text` further ones. */
export function benchPrompt(
  { imageSize, imageTokens, imageTokenId, bosTokenId, vocabSize }: ProgramMetadata,
  text: number,
): { readonly pixels: Float32Array; readonly tokens: readonly number[] } {
  const pixels = Float32Array.from({ length: 3 * imageSize ** 2 }, (_, i) => Math.sin(i / 50));
  const words = Array.from({ length: text - 1 }, (_, i) => 3 + ((17 * i) % (vocabSize - 3)));
  return { pixels, tokens: [...Array<number>(imageTokens).fill(imageTokenId), bosTokenId, ...words] };
}

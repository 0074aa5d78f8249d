import { isDeepStrictEqual } from 'node:util';

/** Sizes of the SigLIP image tower (spec A.1). */
export interface VisionConfig {
  readonly layers: number;
  readonly width: number;
  /** Inner width of the MLP. */
  readonly mlpWidth: number;
  readonly heads: number;
  readonly headDim: number;
  /** Side of a square patch, pixels. */
  readonly patchSize: number;
  /** Side of the square image, pixels. */
  readonly imageSize: number;
  readonly epsilon: number;
}

/** Sizes of the Gemma decoder (spec A.2). */
export interface TextConfig {
  readonly layers: number;
  readonly width: number;
  /** Inner width of the MLP, of each of its two branches. */
  readonly mlpWidth: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  readonly ropeTheta: number;
  /** Rows of the rotary tables. */
  readonly maxPositions: number;
}

/** All that the graphs depend on. */
export interface PaliGemmaConfig {
  readonly vision: VisionConfig;
  readonly text: TextConfig;
  /** Tokens that carry meaning: the width of the logits. */
  readonly vocabSize: number;
  /** Rows of the embedding table of the bundle: the vocabulary, the row of `<image>`, padding. */
  readonly tableRows: number;
  readonly imageTokenId: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly padTokenId: number;
}

export function imageTokens({ imageSize, patchSize }: VisionConfig): number {
  return (imageSize / patchSize) ** 2;
}

/**
 * Rows of a table that has room for `<image>` right after the vocabulary: Hugging Face pads to the next multiple of 64
 * (257152 → 257216; spec A.3).
 */
export function paddedRows(vocabSize: number): number {
  return (Math.floor(vocabSize / 64) + 1) * 64;
}

const GEMMA_2B = { layers: 18, width: 2048, mlpWidth: 16384, heads: 8, kvHeads: 1, headDim: 256, epsilon: 1e-6, ropeTheta: 10000, maxPositions: 8192 };
const SO400M_14 = { layers: 27, width: 1152, mlpWidth: 4304, heads: 16, headDim: 72, patchSize: 14, epsilon: 1e-6 };

function paligemma3b(imageSize: number): PaliGemmaConfig {
  return {
    vision: { ...SO400M_14, imageSize },
    text: GEMMA_2B,
    vocabSize: 257152,
    tableRows: 257216,
    imageTokenId: 257152,
    bosTokenId: 2,
    eosTokenId: 1,
    padTokenId: 0,
  };
}

/** Published models, by name: for `synth`, and to recognise a checkpoint by its sizes. */
export const VARIANTS: Readonly<Record<string, PaliGemmaConfig>> = {
  'paligemma-3b-224': paligemma3b(224),
  'paligemma-3b-448': paligemma3b(448),
  'paligemma-3b-896': paligemma3b(896),
};

/** The published name, or the sizes of a model that is nobody's. */
export function variantName(config: PaliGemmaConfig): string {
  const { vision, text } = config;
  const known = Object.entries(VARIANTS).find(([, variant]) => isDeepStrictEqual(variant, config));
  return known?.[0] ?? `${text.layers}x${text.width} decoder, ${vision.layers}x${vision.width} image tower, ${vision.imageSize} px`;
}

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
  /** Multiplies query · key: H^-0.5, but (D/N)^-0.5 in Gemma 2 27B. */
  readonly queryScale: number;
  /** Gemma 2 normalises what attention and MLP add to the residual stream, too. */
  readonly postNorms: boolean;
  /** Scores become cap · tanh(score / cap); 0 for none. */
  readonly attentionSoftcap: number;
  /** The same for logits, where it is asked for (spec A.5); 0 for none. */
  readonly finalSoftcap: number;
  /** Keys that a query past the prompt sees in `slidingLayers`, where it is asked for (spec A.6); 0 for all. */
  readonly slidingWindow: number;
  /** Numbers of the layers that have the window. */
  readonly slidingLayers: readonly number[];
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
  /** Width of ColPali's embeddings (arXiv:2407.01449); 0 for a model without that head. */
  readonly retrievalWidth: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  /** Ids that end an answer, where they are not the end token alone. */
  readonly stopTokenIds?: readonly number[];
  readonly padTokenId: number;
}

/** Patches of a picture, (imageSize / patchSize)²: each becomes one token. */
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

/** Gemma 2 lets every second layer slide, from the first on. */
export function evenLayers(layers: number): number[] {
  return Array.from({ length: Math.ceil(layers / 2) }, (_, i) => 2 * i);
}

const GEMMA = { epsilon: 1e-6, ropeTheta: 10000, maxPositions: 8192 };
const GEMMA_1 = {
  ...GEMMA,
  postNorms: false,
  attentionSoftcap: 0,
  finalSoftcap: 0,
  slidingWindow: 0,
  slidingLayers: [],
};
/** What every Gemma 2 has (arXiv:2408.00118). */
export const GEMMA_2 = { ...GEMMA, postNorms: true, attentionSoftcap: 50, finalSoftcap: 30, slidingWindow: 4096 };

/** Width of a head in Gemma 2 27B, the only published decoder whose query scale is (D/N)^-0.5. */
export const HEAD_DIM_27B = 128;

const GEMMA_2B: TextConfig = {
  ...GEMMA_1,
  layers: 18,
  width: 2048,
  mlpWidth: 16384,
  heads: 8,
  kvHeads: 1,
  headDim: 256,
  queryScale: 256 ** -0.5,
};
const GEMMA2_2B: TextConfig = {
  ...GEMMA_2,
  layers: 26,
  width: 2304,
  mlpWidth: 9216,
  heads: 8,
  kvHeads: 4,
  headDim: 256,
  queryScale: 256 ** -0.5,
  slidingLayers: evenLayers(26),
};
const GEMMA2_9B: TextConfig = {
  ...GEMMA_2,
  layers: 42,
  width: 3584,
  mlpWidth: 14336,
  heads: 16,
  kvHeads: 8,
  headDim: 256,
  queryScale: 256 ** -0.5,
  slidingLayers: evenLayers(42),
};
const GEMMA2_27B: TextConfig = {
  ...GEMMA_2,
  layers: 46,
  width: 4608,
  mlpWidth: 36864,
  heads: 32,
  kvHeads: 16,
  headDim: HEAD_DIM_27B,
  queryScale: (4608 / 32) ** -0.5,
  slidingLayers: evenLayers(46),
};
/** Published decoders (spec A.2). */
export const DECODERS: readonly TextConfig[] = [GEMMA_2B, GEMMA2_2B, GEMMA2_9B, GEMMA2_27B];

const SO400M_14 = { layers: 27, width: 1152, mlpWidth: 4304, heads: 16, headDim: 72, patchSize: 14, epsilon: 1e-6 };

function published(text: TextConfig, imageSize: number): PaliGemmaConfig {
  return {
    vision: { ...SO400M_14, imageSize },
    text,
    vocabSize: 257152,
    tableRows: 257216,
    imageTokenId: 257152,
    retrievalWidth: 0,
    bosTokenId: 2,
    eosTokenId: 1,
    padTokenId: 0,
  };
}

/** Published models, by name: for `synth`, and to recognise a checkpoint by its sizes. */
export const VARIANTS: Readonly<Record<string, PaliGemmaConfig>> = Object.fromEntries(
  Object.entries({
    'paligemma-3b': GEMMA_2B,
    'paligemma2-3b': GEMMA2_2B,
    'paligemma2-10b': GEMMA2_9B,
    'paligemma2-28b': GEMMA2_27B,
  }).flatMap(([name, text]) =>
    [224, 448, 896].map((imageSize) => [`${name}-${imageSize}`, published(text, imageSize)]),
  ),
);

/** The published name, or the sizes of a model that is nobody's. */
export function variantName(config: PaliGemmaConfig): string {
  const { vision, text, retrievalWidth } = config;
  if (retrievalWidth > 0) return `ColPali on ${variantName({ ...config, retrievalWidth: 0 })}`;
  const known = Object.entries(VARIANTS).find(([, variant]) => isDeepStrictEqual(variant, config));
  return (
    known?.[0] ??
    `${text.layers}x${text.width} decoder, ${vision.layers}x${vision.width} image tower, ${vision.imageSize} px`
  );
}

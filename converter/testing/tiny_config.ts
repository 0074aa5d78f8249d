import { VARIANTS, type PaliGemmaConfig } from '../models/paligemma/config.ts';

/** PaliGemma 2 in small, with the query scale of the 28B. */
export const TINY_2: PaliGemmaConfig = {
  vision: { layers: 2, width: 24, mlpWidth: 20, heads: 3, headDim: 8, patchSize: 4, imageSize: 12, epsilon: 1e-6 },
  text: {
    ...VARIANTS['paligemma2-28b-224']!.text,
    layers: 3,
    slidingLayers: [0, 2],
    width: 30,
    mlpWidth: 28,
    heads: 6,
    kvHeads: 2,
    headDim: 10,
    queryScale: 5 ** -0.5,
  },
  vocabSize: 77,
  tableRows: 128,
  imageTokenId: 77,
  retrievalWidth: 0,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
};

import type { ProgramMetadata } from '../../ir/graph.ts';

/** Of fixtures/shapes. */
export const SHAPES_METADATA: ProgramMetadata = {
  family: 'paligemma',
  variant: 'paligemma-shapes',
  imageSize: 112,
  imageTokens: 64,
  imageTokenId: 1538,
  vocabSize: 1538,
  layers: 4,
  kvHeads: 1,
  headDim: 32,
  hiddenSize: 128,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 8192,
};

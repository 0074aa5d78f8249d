/** What a runtime must know of a model to drive its graphs. */
export interface ProgramMetadata {
  readonly family: string;
  /** For people: `paligemma-3b-224`, or the sizes when they are nobody's. */
  readonly variant: string;
  /** Pixels of an edge. */
  readonly imageSize: number;
  /** Rows of features of one picture. */
  readonly imageTokens: number;
  /** Where it lies among the columns of the logits, a graph masks it: pictures take its place and no answer has it. */
  readonly imageTokenId: number;
  /** Columns of the logits that mean a token: compare and sample on these only. */
  readonly vocabSize: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hiddenSize: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  /** Ids that end an answer, where they are others than `eosTokenId` alone. */
  readonly stopTokenIds?: readonly number[] | undefined;
  readonly padTokenId: number;
  readonly maxPositions: number;
  /** Edge of the masks that the graph `mask_decoder` makes of an object's codes; without that graph there are none. */
  readonly maskSize?: number | undefined;
  /** Width of ColPali's vectors, the decoder's output `embeddings`; a model without that head has none. */
  readonly retrievalWidth?: number | undefined;
}

/** Ids that end an answer. */
export function stopTokens({
  eosTokenId,
  stopTokenIds = [eosTokenId],
}: Pick<ProgramMetadata, 'eosTokenId' | 'stopTokenIds'>): readonly number[] {
  return stopTokenIds;
}

/** Whether `<image>` lies among the tokens, with a fine-tune's own behind it: then its logits are masked. */
export function hasImageWithin({
  vocabSize,
  imageTokenId,
}: Pick<ProgramMetadata, 'vocabSize' | 'imageTokenId'>): boolean {
  return imageTokenId + 1 < vocabSize;
}

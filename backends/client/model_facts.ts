/** Facts of the model that whoever drives it needs: ProgramMetadata of the IR. */
export interface ModelFacts {
  readonly family: string;
  /** For people: `paligemma-3b-224`. */
  readonly variant: string;
  /** Pixels of an edge. */
  readonly imageSize: number;
  readonly imageTokens: number;
  readonly imageTokenId: number;
  /** Columns of the logits that mean a token. */
  readonly vocabSize: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hiddenSize: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly padTokenId: number;
  readonly maxPositions: number;
  readonly retrievalWidth?: number | undefined;
}

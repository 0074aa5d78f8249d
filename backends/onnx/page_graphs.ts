/** Where the files of a graph are in a bundle. */
export interface PreparedGraph {
  /** Path of the model. */
  readonly model: string;
  /** Names of its files of weights, beside it. */
  readonly data: readonly string[];
}

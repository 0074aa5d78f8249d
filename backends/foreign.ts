import type { OpenOptions, RoundedActivations, Runner } from './backend.ts';
import type { BundleFolder, Description } from './description.ts';

/** How a bundle without a manifest is to be understood, where its graphs do not say it. */
export interface ForeignOptions {
  /** Names of ports and stages: ours, as docs/verifying-any-export.md lists them, and the graph's own. */
  readonly map?: ReadonlyMap<string, string>;
  /** The end of the names of the files that are meant, where there are several of a kind; `none` for the shortest. */
  readonly variantSuffix?: string;
}

/** A bundle that somebody else's exporter made, open in its runtime. */
export interface ForeignBundle {
  /** Its graphs under our names of graphs and ports. It has only those of `graphs`. */
  readonly runner: Runner;
  /** The IR graphs that it has; `decoder` is always among them. */
  readonly graphs: readonly string[];
  /** What its weights are stored in, by the coarsest graph. */
  readonly precision: 'fp32' | 'fp16' | 'bf16' | 'int8' | 'int4';
  /** Layers of its KV cache, and sizes of it where the graph states them. */
  readonly cache: { readonly layers: number; readonly kvHeads?: number; readonly headDim?: number };
  /** Sizes of the model, where the graphs state them. */
  readonly sizes: { readonly hiddenSize?: number; readonly imageSize?: number };
  /** Inputs of the decoder that it does without, by our names: `position_ids`, `num_logits_to_keep`. */
  readonly without: readonly string[];
  /** How its graphs round activations as they run; undefined where they do not. */
  readonly roundedActivations?: RoundedActivations | undefined;
  /** Its files, for `storedFields`. */
  readonly files: BundleFolder;
}

/** What a backend knows of bundles of its kind that another exporter made. */
export interface ForeignBundles {
  /** Whether there are graphs of its kind at a path, by names of files alone. */
  recognizes(path: string): Promise<boolean>;
  /**
   * Opens them for a comparison.
   * @throws BackendError `unmapped-ports` naming every port that is not understood, `ambiguous-graphs` naming the files
   */
  open(path: string, options: ForeignOptions & OpenOptions): Promise<ForeignBundle>;
  /** Its graphs, their ports with what they are taken for, and what is not understood. No weight is read. */
  describe(path: string, options?: ForeignOptions): Promise<Description>;
}

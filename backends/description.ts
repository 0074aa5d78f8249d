/** A bundle on disk: its folder, and the files that its manifest lists. */
export interface BundleFolder {
  readonly dir: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** A table for people. */
export interface TextTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** Columns that are aligned to the right. */
  readonly numeric: readonly number[];
}

/** What a bundle or a file holds, for programs and for people: whoever shows it does not know the backend. */
export interface Description {
  /** Members of the JSON object. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Lines and tables, in order. */
  readonly parts: readonly (string | TextTable)[];
  /** Every tensor, for those who ask for them. */
  readonly tensors?: TextTable;
}

/** A tensor, and its bytes in the files of a bundle. */
export interface StoredTensor {
  readonly name: string;
  readonly bytes: number;
}

import type { TensorData } from '../../ir/tensor.ts';
import type { InputFile } from '../inputs/input_file.ts';

/** A file that belongs to the checkpoint: for hashes, progress and the check that nothing changed during the run. */
export interface SourceFile {
  readonly path: string;
  /** Relative to the checkpoint's folder, with `/`; the file's own name for a single file. */
  readonly name: string;
  readonly byteLength: number;
  /** What the file system said of it when it was opened: other than of a file in its place, or of new content. */
  readonly fingerprint: string;
}

/** Files beside the weights that a bundle carries over, by their usual names, when they are there. */
export const SIDECAR_NAMES = [
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'preprocessor_config.json',
  'processor_config.json',
  'generation_config.json',
] as const;
export type SidecarName = (typeof SIDECAR_NAMES)[number];

/** A tensor of a dtype that the IR has not: `F8_E4M3`, `U32`, `F64`. Its place is known, its values are not read. */
export interface UnreadableTensor {
  /** As the file spells it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly from: { readonly file: string; readonly byteOffset: number };
}

/** A member of an archive that is no array, an array of a dtype that no weight has, a part that was not selected. */
export type Beside = 'no array' | 'unreadable' | 'not selected';

/** An opened checkpoint: every tensor's dtype and shape are known, no weight has been read. */
export interface Checkpoint {
  readonly format: 'huggingface' | 'big_vision';
  /** The folder, or the .npz, that was opened: absolute. */
  readonly path: string;
  /** By the name that the files give them, in file order. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Those beside them that cannot be read; default none. The family decides whether it can do without. */
  readonly unreadable?: ReadonlyMap<string, UnreadableTensor>;
  /** What the files say of themselves, such as `format: mlx`; default nothing. */
  readonly metadata?: ReadonlyMap<string, string>;
  /** What the files hold beside them, by name, and why it is not among them; absent for nothing. */
  readonly beside?: ReadonlyMap<string, Beside>;
  /** The weight files. */
  readonly files: readonly SourceFile[];
  /**
   * config.json, parsed strictly, of the vision-language model that the checkpoint is built on; undefined when there is
   * none (always for .npz).
   */
  readonly config: unknown;
  /** Where that was read from; absent where there is none. */
  readonly configFile?: SourceFile;
  /** The kind of the whole model, as its config.json spells it, where that is another than its backbone's. */
  readonly modelType?: string;
  /** The sidecar files that exist. */
  readonly sidecars: ReadonlyMap<SidecarName, InputFile>;
  /** What a careful user should know: one sentence each. */
  readonly warnings: readonly string[];
  /** @throws BadInputError when a file changed since it was opened, or an array is not what its archive says. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Why something of a checkpoint is not in its bundle. There are no other reasons, and each stands for a condition that
 * was checked when the entry was made (docs/ledger.md says which).
 */
export const LEFT_OUT = {
  image_row: 'the row of <image>, whose place pictures take',
  padding_rows: 'rows behind every token that tokenizer and configs name',
  mask_row: 'the row of <mask>, which transformers 5 names in every Gemma tokenizer',
  replaced: 'an adapter has this weight whole',
  vision_head: 'SigLIP’s pooling head, which PaliGemma does not use',
  position_ids: 'the numbers of positions, 0, 1, 2, …',
  rope_frequencies: 'the frequencies of rotary positions, which config.json gives',
  action_expert: 'beside the PaliGemma of a π0: its action expert, projections and statistics',
  training_state: 'state of training beside the model: moments, counters, timers',
  contrastive: 'SigLIP’s text tower, temperature and bias, beside img/ and llm/',
  mask_encoder: 'what made the codes of masks in training',
  not_selected: 'a subtree that was not selected',
  no_array: 'a member of the archive that is no array',
  asked: '--leave-out names it',
  documentation: 'documentation, pictures, housekeeping',
  other_weights: 'weights that transformers does not load beside those that were read',
  training_file: 'a file of the training run',
  code: 'code that config.json does not name',
  folder: 'a folder, into which nobody looks',
  not_read: 'a setting that no client of a bundle has a use for',
  no_weights: 'a file of a name that transformers does not read, and of no format that has weights',
} as const;
export type Reason = keyof typeof LEFT_OUT;

/** What became of one tensor, of some rows of one, or of one file: `used`, `equal` or `leftOut`, exactly one. */
export interface LedgerEntry {
  /** Relative to the checkpoint's folder; of the n-th adapter `adapter-n/…`. */
  readonly file: string;
  /** As the file spells it; without it the entry is of the file. */
  readonly tensor?: string | undefined;
  /** Rows [begin, end) of its first axis; without them all of it. */
  readonly rows?: readonly [number, number] | undefined;
  /** The weights that are made of it, by canonical name, `*` for every layer. */
  readonly used?: readonly string[] | undefined;
  /** Holds the values of another tensor; `compared` says whether they were read. */
  readonly equal?: { readonly to: string; readonly compared: boolean } | undefined;
  readonly leftOut?: Reason | undefined;
}

export type Fate = Pick<LedgerEntry, 'used' | 'equal' | 'leftOut'>;

/** What became of the tensors of a checkpoint, by the names that its files give them. */
export type Fates = ReadonlyMap<string, Fate>;

/** An entry with its fields in their order and none that are undefined: as a manifest has it. */
export function plainEntry({ file, tensor, rows, used, equal, leftOut }: LedgerEntry): PlainEntry {
  return {
    file,
    ...(tensor !== undefined && { tensor }),
    ...(rows && { rows: [rows[0], rows[1]] }),
    ...(used && { used: [...used] }),
    ...(equal && { equal: { ...equal } }),
    ...(leftOut && { leftOut }),
  };
}

/** A ledger's entry as JSON. */
export interface PlainEntry {
  file: string;
  tensor?: string;
  rows?: [number, number];
  used?: string[];
  equal?: { to: string; compared: boolean };
  leftOut?: Reason;
}

import type { ModelUse } from '../../backends/readme/readme_input.ts';
import type { Program } from '../../ir/graph.ts';
import type { Adapter } from './adapters/adapter.ts';
import type { ModuleChange } from './adapters/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import type { LedgerEntry } from './ledger/ledger.ts';
import type { KnownTokens } from '../sidecars/known_tokens.ts';
import type { RoleOf } from '../precision/weight_storage.ts';

/** Something that was inferred rather than read, and from what: shown by `inspect` before hours of work. */
export interface Inference {
  readonly field: string;
  readonly value: string | number | boolean;
  /** `shape of llm/layers/attn/q_einsum/w`, `config.json text_config.head_dim`, `default`. */
  readonly from: string;
}

/** The implementations that a bundle may follow where they differ on purpose (spec A.4–A.6, B.3). */
export const REFERENCES = ['huggingface', 'bigvision'] as const;
export type Reference = (typeof REFERENCES)[number];

/** `auto` does what the reference does. */
export const SWITCHES = ['auto', 'on', 'off'] as const;
export type Switch = (typeof SWITCHES)[number];

/** What a user may decide about the graphs. */
export interface ModelOptions {
  /** Default `huggingface`. */
  readonly reference?: Reference;
  /** Whether logits are capped; default `auto`. */
  readonly finalSoftcap?: Switch;
  /** Whether layers that slide see only the window; default `auto`. */
  readonly slidingWindow?: Switch;
  /** The opened file of the decoder of masks, whose graph then stands beside the model's. */
  readonly maskDecoder?: Checkpoint | undefined;
  /** Merged into the weights in this order. */
  readonly adapters?: readonly Adapter[];
  /** What the model's tokenizer knows: which rows behind `<image>` are tokens. */
  readonly tokens?: KnownTokens | undefined;
  /** Names of tensors, with `*`, that are left out although nobody knows what they are. */
  readonly leaveOut?: readonly string[] | undefined;
  /** Whether a head is compared with the embedding, for which both are read; default true. Without, equal is taken. */
  readonly compare?: boolean;
}

/** A recognised model: its f32 program, whose weights stay unread, and how its sizes were found. */
export interface Model {
  readonly family: string;
  readonly program: Program;
  readonly inferences: readonly Inference[];
  readonly warnings: readonly string[];
  /** What each matrix of the program is, for rules about precision. */
  readonly roleOf: RoleOf;
  /** What adapters do to each module. */
  readonly changes: readonly ModuleChange[];
  /** What became of every tensor of the checkpoint and its adapters. */
  readonly ledger: readonly LedgerEntry[];
  /** For the README of a bundle. */
  readonly use: ModelUse;
}

/** One kind of model: how to recognise its checkpoints and how to build its graphs. */
export interface Family {
  readonly name: string;
  /** Looks at names only. */
  matches(checkpoint: Checkpoint): boolean;
  /**
   * @throws BadInputError naming the tensor or the config field that is missing or does not fit; UsageError for an
   * option that the model does not have.
   */
  load(checkpoint: Checkpoint, options?: ModelOptions): Promise<Model>;
}

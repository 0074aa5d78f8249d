import type { Program } from '../../ir/graph.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';

/** Something that was inferred rather than read, and from what: shown by `inspect` before hours of work. */
export interface Inference {
  readonly field: string;
  readonly value: string | number | boolean;
  /** `shape of llm/layers/attn/q_einsum/w`, `config.json text_config.head_dim`, `default`. */
  readonly from: string;
}

/** A recognised model: its f32 program, whose weights stay unread, and how its sizes were found. */
export interface Model {
  readonly family: string;
  readonly program: Program;
  readonly inferences: readonly Inference[];
  readonly warnings: readonly string[];
}

/** One kind of model: how to recognise its checkpoints and how to build its graphs. */
export interface Family {
  readonly name: string;
  /** Looks at names only. */
  matches(checkpoint: Checkpoint): boolean;
  /** @throws BadInputError naming the tensor or the config field that is missing or does not fit. */
  load(checkpoint: Checkpoint): Model;
}

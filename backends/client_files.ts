import type { ReadmeFacts, ReadmeInput } from './readme/readme_input.ts';

/** A text at the root of a bundle, for the programs that load it. */
export interface ClientFile {
  readonly name: string;
  readonly text: string;
}

/** What was made of a checkpoint's files, and one sentence for each thing in it that is not the checkpoint's own. */
export interface WithNotes<T> {
  readonly value: T;
  readonly notes: readonly string[];
  /** Those among the notes that matter to whoever runs the bundle, wherever its files came from. */
  readonly usage?: readonly string[];
}

/**
 * The checkpoint's files in one canonical form: what says the same gives the same bytes. Each is made when it is asked
 * for: a damaged file is no matter to a client that does not read it.
 */
export interface PreparedFiles {
  /** config.json by its fields: a client may want some of its own in it. */
  config(): WithNotes<Readonly<Record<string, unknown>>>;
  /** preprocessor_config.json. */
  preprocessor(): WithNotes<ClientFile>;
  /** tokenizer.json and tokenizer_config.json; none, and a note, where the checkpoint has no tokenizer. */
  tokenizer(): WithNotes<readonly ClientFile[]>;
  /** generation_config.json. */
  generationConfig(): WithNotes<ClientFile>;
}

/** Of what a backend chooses what stands beside its graphs. */
export interface ClientInput {
  /** Paths of the files that it emits. */
  readonly emitted: readonly string[];
  readonly prepared: PreparedFiles;
  readonly facts: ReadmeFacts;
}

/** What stands beside the graphs. */
export interface ClientFiles {
  readonly files: readonly ClientFile[];
  /** What was derived, corrected or left out: one sentence each. */
  readonly notes: readonly string[];
}

/** These files, and a README that knows which there are. */
export function filesWithReadme(
  parts: readonly WithNotes<ClientFile | readonly ClientFile[]>[],
  facts: ReadmeFacts,
  readme: (input: ReadmeInput) => string,
): ClientFiles {
  const files = parts.flatMap(({ value }) => value);
  const text = readme({
    ...facts,
    hasTokenizer: files.some(({ name }) => name === 'tokenizer.json'),
    notes: parts.flatMap(({ usage = [] }) => usage),
  });
  return { files: [...files, { name: 'README.md', text }], notes: parts.flatMap(({ notes }) => notes) };
}

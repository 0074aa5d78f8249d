import type { ClientFile, PreparedFiles, WithNotes } from '../../backends/client_files.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import type { PixelMode } from '../../backends/client/images/processor.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { configFields } from './config.ts';
import { generationConfigFile } from './generation_config.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import { readSidecar, readSidecars, type Sidecar, type Sidecars } from './sidecar.ts';
import { tokenizerConfigFile } from './tokenizer_config.ts';
import { tokenizerFile } from './tokenizer_file.ts';
import { tokenizerSource } from './tokenizer_source.ts';

/** What a checkpoint has beside its weights. */
export interface CheckpointFiles {
  /** Its config.json; undefined when there is none. */
  readonly config: unknown;
  readonly sidecars: Sidecars;
  /** The file that `--tokenizer` names: it comes before the checkpoint's own. */
  readonly tokenizer?: Sidecar | undefined;
  readonly metadata: ProgramMetadata;
  /**
   * Whose image processor the bundle gets: big_vision resizes bilinearly, Hugging Face bicubically. Default
   * `huggingface`.
   */
  readonly reference?: PixelMode;
}

/**
 * The files of a bundle that are made of the checkpoint's, for a backend to choose from.
 * Processor and tokenizer files have one canonical form: what says the same gives the same bytes, whichever files it
 * came from. Fields that set something keep their value; those that no client reads are left out. Each throws a
 * BadInputError for a damaged sidecar, the tokenizer's for one of another model.
 */
export function preparedFiles({
  config,
  sidecars,
  tokenizer,
  metadata,
  reference = 'huggingface',
}: CheckpointFiles): PreparedFiles {
  let made: ReturnType<typeof tokenizerFiles> | undefined;
  return {
    config: () => configFields(config, metadata),
    preprocessor: () => preprocessorConfigFile(sidecars, metadata, reference),
    // of a real model it takes seconds
    tokenizer: () => (made ??= tokenizerFiles(sidecars, tokenizer, metadata)),
    generationConfig: () => generationConfigFile(sidecars, metadata),
  };
}

/** The same of what lies beside a checkpoint's weights, with the file that `--tokenizer` names. */
export async function preparedFor(
  {
    config,
    sidecars,
    tokenizer,
  }: Pick<Checkpoint, 'config' | 'sidecars'> & { readonly tokenizer?: InputFile | undefined },
  of: Pick<CheckpointFiles, 'metadata' | 'reference'>,
): Promise<PreparedFiles> {
  const named = tokenizer === undefined ? undefined : await readSidecar(tokenizer);
  return preparedFiles({ config, sidecars: await readSidecars(sidecars), tokenizer: named, ...of });
}

function tokenizerFiles(
  sidecars: Sidecars,
  named: Sidecar | undefined,
  metadata: ProgramMetadata,
): WithNotes<readonly ClientFile[]> {
  const source = tokenizerSource(sidecars, named);
  if (!source) return { value: [], notes: [NO_TOKENIZER] };
  const config = tokenizerConfigFile(sidecars);
  const parts = [tokenizerFile(source, metadata, config.tokens), config];
  return {
    value: parts.map(({ value }) => value),
    notes: parts.flatMap(({ notes }) => notes),
    usage: parts.flatMap(({ usage = [] }) => usage),
  };
}

const NO_TOKENIZER = [
  'tokenizer.json and tokenizer_config.json are missing, as the checkpoint has no tokenizer: give one with --tokenizer,',
  'a tokenizer.model (PaliGemma’s is paligemma_tokenizer.model) or a tokenizer.json.',
].join(' ');

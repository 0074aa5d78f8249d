import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Reference } from '../models/family.ts';
import type { ClientFile, WithNotes } from './client_file.ts';
import { configFile } from './config.ts';
import { generationConfigFile } from './generation_config.ts';
import type { OnnxFile } from './onnx_files.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import type { Sidecar, Sidecars } from './sidecar.ts';
import { tokenizerConfigFile } from './tokenizer_config.ts';
import { tokenizerFile } from './tokenizer_file.ts';
import { tokenizerSource } from './tokenizer_source.ts';

/** What processor and tokenizer are made of. */
export interface ProcessorInput {
  readonly sidecars: Sidecars;
  /** The file that `--tokenizer` names: it comes before the checkpoint's own. */
  readonly tokenizer?: Sidecar | undefined;
  readonly metadata: ProgramMetadata;
  /**
   * Whose image processor the bundle gets: big_vision resizes bilinearly, Hugging Face bicubically. Default
   * `huggingface`.
   */
  readonly reference?: Reference;
}

export interface ClientInput extends ProcessorInput {
  /** The checkpoint's config.json; undefined when there is none. */
  readonly config: unknown;
  readonly onnxFiles: readonly OnnxFile[];
}

export interface ClientFiles {
  readonly files: readonly ClientFile[];
  /** What was derived, corrected or left out: one sentence each. */
  readonly notes: readonly string[];
  /**
   * The notes that belong into the bundle's README: the others tell where its files came from, which the files
   * themselves do not.
   */
  readonly usage: readonly string[];
}

/**
 * Everything but the graphs that @huggingface/transformers 4.3.1 reads of a PaliGemma bundle. special_tokens_map.json
 * and added_tokens.json are not among it: it takes both from tokenizer.json.
 * Processor and tokenizer files have one canonical form: what says the same gives the same bytes, whichever files it
 * came from. Fields that set something keep their value; those that no client reads are left out.
 * @throws BadInputError for a damaged sidecar or the tokenizer of another model.
 */
export function clientFiles({ config, onnxFiles, ...input }: ClientInput): ClientFiles {
  const { sidecars, metadata } = input;
  return joined([
    configFile(config, metadata, onnxFiles),
    ...processorParts(input),
    generationConfigFile(sidecars, metadata),
  ]);
}

/**
 * Processor and tokenizer alone, in the same form: for clients that need no more.
 * @throws BadInputError as `clientFiles`
 */
export function processorFiles(input: ProcessorInput): ClientFiles {
  return joined(processorParts(input));
}

function joined(parts: readonly WithNotes<ClientFile | undefined>[]): ClientFiles {
  return {
    files: parts.flatMap((part) => part.value ?? []),
    notes: parts.flatMap((part) => part.notes),
    usage: parts.flatMap((part) => part.usage ?? []),
  };
}

function processorParts({
  sidecars,
  tokenizer,
  metadata,
  reference = 'huggingface',
}: ProcessorInput): readonly WithNotes<ClientFile | undefined>[] {
  return [preprocessorConfigFile(sidecars, metadata, reference), ...tokenizerParts(sidecars, tokenizer, metadata)];
}

function tokenizerParts(
  sidecars: Sidecars,
  named: Sidecar | undefined,
  metadata: ProgramMetadata,
): WithNotes<ClientFile | undefined>[] {
  const source = tokenizerSource(sidecars, named);
  if (!source)
    return [
      {
        value: undefined,
        notes: [
          'tokenizer.json and tokenizer_config.json are missing, as the checkpoint has no tokenizer: give one with --tokenizer, a tokenizer.model (PaliGemma’s is paligemma_tokenizer.model) or a tokenizer.json.',
        ],
      },
    ];
  const config = tokenizerConfigFile(sidecars);
  return [tokenizerFile(source, metadata, config.tokens), config];
}

import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Reference } from '../families/family.ts';
import type { ClientFile, WithNotes } from './client_file.ts';
import { configFile } from './config.ts';
import { generationConfigFile } from './generation_config.ts';
import type { OnnxFile } from './onnx_files.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import type { Sidecar, Sidecars } from './sidecar.ts';
import { tokenizerConfigFile } from './tokenizer_config.ts';
import { tokenizerFile } from './tokenizer_file.ts';
import { tokenizerSource } from './tokenizer_source.ts';

export interface ClientInput {
  /** The checkpoint's config.json; undefined when there is none. */
  readonly config: unknown;
  readonly sidecars: Sidecars;
  /** The file that `--tokenizer` names: it comes before the checkpoint's own. */
  readonly tokenizer?: Sidecar | undefined;
  readonly metadata: ProgramMetadata;
  readonly onnxFiles: readonly OnnxFile[];
  /** Whose image processor the bundle gets: big_vision resizes bilinearly, Hugging Face bicubically. Default `huggingface`. */
  readonly reference?: Reference;
}

export interface ClientFiles {
  readonly files: readonly ClientFile[];
  /** What was derived, corrected or left out: one sentence each. */
  readonly notes: readonly string[];
  /** The notes that belong into the bundle's README: the others tell where its files came from, which the files themselves do not. */
  readonly usage: readonly string[];
}

/**
 * Everything but the graphs that @huggingface/transformers 4.3.1 reads of a PaliGemma bundle. special_tokens_map.json and
 * added_tokens.json are not among it: it takes both from tokenizer.json.
 * Processor and tokenizer files have one canonical form: what says the same gives the same bytes, whichever files it came
 * from. Fields that set something keep their value; those that no client reads are left out.
 * @throws BadInputError for a damaged sidecar or the tokenizer of another model.
 */
export function clientFiles({ config, sidecars, tokenizer, metadata, onnxFiles, reference = 'huggingface' }: ClientInput): ClientFiles {
  const parts = [
    configFile(config, metadata, onnxFiles),
    preprocessorConfigFile(sidecars, metadata, reference),
    ...tokenizerParts(sidecars, tokenizer, metadata),
    generationConfigFile(sidecars, metadata),
  ];
  return { files: parts.flatMap((part) => part.value ?? []), notes: parts.flatMap((part) => part.notes), usage: parts.flatMap((part) => part.usage ?? []) };
}

function tokenizerParts(sidecars: Sidecars, named: Sidecar | undefined, metadata: ProgramMetadata): WithNotes<ClientFile | undefined>[] {
  const source = tokenizerSource(sidecars, named);
  if (!source)
    return [{ value: undefined, notes: ['tokenizer.json and tokenizer_config.json are missing, as the checkpoint has no tokenizer: give one with --tokenizer, a tokenizer.model (PaliGemma’s is paligemma_tokenizer.model) or a tokenizer.json.'] }];
  const config = tokenizerConfigFile(sidecars);
  return [tokenizerFile(source, metadata, config.tokens), config];
}

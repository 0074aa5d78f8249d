import { filesWithReadme, type ClientFiles, type ClientInput } from '../../client_files.ts';
import { clientConfig } from './client_config.ts';
import { onnxFilesOf } from './onnx_files.ts';
import { onnxReadme } from './readme.ts';

/**
 * Everything but the graphs that @huggingface/transformers 4.3.1 reads, and a README. special_tokens_map.json and
 * added_tokens.json are not among it: it takes both from tokenizer.json.
 */
export function clientFiles({ emitted, prepared, facts }: ClientInput): ClientFiles {
  const onnxFiles = onnxFilesOf(emitted);
  const config = prepared.config();
  const parts = [
    clientConfig(config, onnxFiles),
    prepared.preprocessor(),
    prepared.tokenizer(),
    prepared.generationConfig(),
  ];
  const modelClass = classOf(config.value);
  return filesWithReadme(parts, facts, (input) => onnxReadme({ ...input, onnxFiles, modelClass }));
}

/** The class that the config names; else the client's own choice by what goes in and out. */
function classOf({ architectures }: Readonly<Record<string, unknown>>): string {
  const [first] = Array.isArray(architectures) ? (architectures as readonly unknown[]) : [];
  return typeof first === 'string' ? first : 'AutoModelForImageTextToText';
}

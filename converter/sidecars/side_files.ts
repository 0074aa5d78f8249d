import type { ProgramMetadata } from '../../ir/graph.ts';
import type { BackendName } from '../../backends/index.ts';
import { UsageError } from '../errors.ts';
import { bundleReadme } from './bundle_readme.ts';
import type { ClientFile } from './client_file.ts';
import { clientFiles, processorFiles, type ClientFiles, type ProcessorInput } from './client_files.ts';
import { onnxFilesOf } from './onnx_files.ts';
import type { ReadmeInput } from './readme_parts.ts';
import { tfjsReadme } from './tfjs_readme.ts';
import { wgslReadme } from './wgsl_readme.ts';

export interface SideInput extends ProcessorInput, Omit<ReadmeInput, 'hasTokenizer' | 'notes'> {
  /** The checkpoint's config.json; undefined when there is none. */
  readonly config: unknown;
  /** Of the files that the backend emits. */
  readonly emitted: readonly string[];
}

/** What stands beside the graphs, and the text of the README once the files are known. */
interface Client {
  readonly files: ClientFiles;
  readme(input: ReadmeInput): string;
}

/**
 * ONNX bundles are for transformers.js; the others for runtimes of our own, which read sizes and ids from what the
 * backend writes.
 */
const CLIENTS: Readonly<Record<BackendName, (input: SideInput) => Client>> = {
  onnx(input) {
    const onnxFiles = onnxFilesOf(input.emitted);
    return { files: clientFiles({ ...input, onnxFiles }), readme: (readme) => bundleReadme({ ...readme, onnxFiles }) };
  },
  tfjs: (input) => ({ files: processorFiles(input), readme: tfjsReadme }),
  wgsl: (input) => ({ files: processorFiles(input), readme: wgslReadme }),
};

/**
 * Tokenizer, processor and README of a bundle, with a note for each thing in them that is not the checkpoint's own.
 * @throws BadInputError for a damaged sidecar or the tokenizer of another model
 */
export function sideFiles(
  backend: BackendName,
  input: SideInput,
): { readonly files: readonly ClientFile[]; readonly notes: readonly string[] } {
  const { files: client, readme } = CLIENTS[backend](input);
  const { files, notes, usage } = client;
  const text = readme({ ...input, hasTokenizer: files.some(({ name }) => name === 'tokenizer.json'), notes: usage });
  return { files: [...files, { name: 'README.md', text }], notes };
}

/** Our runtimes give answers and no vectors. @throws UsageError before anything is written */
export function checkClient(backend: string, { retrievalWidth }: ProgramMetadata): void {
  if (backend !== 'onnx' && retrievalWidth !== undefined)
    throw new UsageError(
      'no_retrieval',
      `this is a ColPali, which gives vectors for retrieval: the runtime of ${backend} bundles gives answers`,
      { hint: 'convert --to onnx' },
    );
}

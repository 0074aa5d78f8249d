import { basename } from 'node:path';
import type { ArtifactFile } from '../../backends/backend.ts';
import type { ReadmeFacts } from '../../backends/readme/readme_input.ts';
import { textFile } from '../../backends/text_file.ts';
import type { Program } from '../../ir/graph.ts';
import { TOOL } from '../version.ts';
import type { Conversion } from './open_conversion.ts';

/** All files of a bundle, whose bytes are made when they are asked for. */
export interface EmittedBundle {
  readonly files: readonly ArtifactFile[];
  /** What was derived, corrected or left out in the files beside the graphs: one sentence each. */
  readonly notes: readonly string[];
}

const FORMATS = { huggingface: 'a Hugging Face checkpoint', big_vision: 'a big_vision checkpoint' } as const;

/**
 * The backend's files for a program, and what it puts beside them.
 * @throws BackendError for what the backend cannot express, BadInputError for a damaged file beside the weights
 */
export async function emitBundle(conversion: Conversion, program: Program): Promise<EmittedBundle> {
  const { options, backend, made } = conversion;
  const artifact = backend.emit(program, { precision: options.precision, ...made });
  const client = backend.clientFiles({
    emitted: artifact.files.map((file) => file.path),
    prepared: await conversion.prepared(),
    facts: readmeFacts(conversion),
  });
  return {
    files: [...artifact.files, ...client.files.map(({ name, text }) => textFile(name, text))],
    notes: client.notes,
  };
}

function readmeFacts({ options, out, source: { checkpoint, model } }: Conversion): ReadmeFacts {
  const name = basename(out);
  return {
    metadata: model.program.metadata,
    use: model.use,
    name,
    tool: TOOL,
    source: {
      kind: FORMATS[checkpoint.format],
      files: checkpoint.files.map((file) => file.name),
      dtypes: [...new Set([...checkpoint.tensors.values()].map((data) => data.dtype))],
    },
    precision: options.precision,
    verifyCommand: `${TOOL.name} verify ${name} --against <checkpoint>`,
  };
}

import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { ArtifactFile } from '../../backends/backend.ts';
import type { ReadmeFacts } from '../../backends/readme/readme_input.ts';
import { textFile } from '../../backends/text_file.ts';
import { shellWord } from '../../ir/text/shell_word.ts';
import { linkLines, type Links } from '../../verify/links.ts';
import { TOOL } from '../version.ts';
import { beforeChecks } from './before_checks.ts';
import { choiceSentence } from '../precision/chosen_by_data.ts';
import type { Conversion } from './open_conversion.ts';
import type { PreparedPrograms } from './prepare_programs.ts';

/** All files of a bundle, whose bytes are made when they are asked for. */
export interface EmittedBundle {
  readonly files: readonly ArtifactFile[];
  /** What was derived, corrected or left out in the files beside the graphs: one sentence each. */
  readonly notes: readonly string[];
  /** A hash of the files that are made of the checkpoint's tokenizer, processor and configs. */
  readonly texts: string;
  /** Those of the files that say what a check of the bundle found, once it is known. */
  saying(links: Links): Promise<readonly ArtifactFile[]>;
}

const FORMATS = { huggingface: 'a Hugging Face checkpoint', big_vision: 'a big_vision checkpoint' } as const;

/**
 * The backend's files for a program, and what it puts beside them.
 * @throws BackendError for what the backend cannot express, BadInputError for a damaged file beside the weights
 */
export async function emitBundle(
  conversion: Conversion,
  { bundle: program, chosenByData }: Pick<PreparedPrograms, 'bundle' | 'chosenByData'>,
): Promise<EmittedBundle> {
  const { options, backend, made } = conversion;
  const artifact = backend.emit(program, { precision: options.precision, ...made }, (run) =>
    conversion.passRuns.push(run),
  );
  const clientFiles = async (links: Links) =>
    backend.clientFiles({
      emitted: artifact.files.map((file) => file.path),
      prepared: await conversion.prepared(),
      facts: {
        ...readmeFacts(conversion, links),
        ...(chosenByData && { calibration: choiceSentence(chosenByData) }),
      },
    });
  const client = await clientFiles(beforeChecks(conversion));
  const before = new Map(client.files.map(({ name, text }) => [name, text]));
  return {
    files: [...artifact.files, ...client.files.map(({ name, text }) => textFile(name, text))],
    notes: client.notes,
    texts: createHash('sha256').update(JSON.stringify(client.files)).digest('hex'),
    async saying(links) {
      const { files } = await clientFiles(links);
      return files.filter(({ name, text }) => before.get(name) !== text).map(({ name, text }) => textFile(name, text));
    },
  };
}

function readmeFacts({ options, claim, source: { checkpoint, model } }: Conversion, links: Links): ReadmeFacts {
  const name = basename(claim.folder.path);
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
    verification: linkLines(links),
    verifyCommand: `${TOOL.name} verify ${shellWord(name)} --against <checkpoint>`,
  };
}

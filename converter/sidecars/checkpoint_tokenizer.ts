import type { ProgramMetadata } from '../../ir/graph.ts';
import { clientTokenizer } from './client_tokenizer.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { clientFiles } from './client_files.ts';
import { readSidecar, readSidecars } from './sidecar.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * The tokenizer that a bundle of this checkpoint gets; undefined when there is none.
 * @throws BadInputError for a damaged one, or another model's
 */
export async function checkpointTokenizer(
  { config, sidecars }: Checkpoint,
  metadata: ProgramMetadata,
  named?: string,
): Promise<Tokenizer | undefined> {
  const tokenizer = named === undefined ? undefined : await readSidecar(named);
  const { files } = clientFiles({ config, sidecars: await readSidecars(sidecars), tokenizer, metadata, onnxFiles: [] });
  return clientTokenizer(files);
}

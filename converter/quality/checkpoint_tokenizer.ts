import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { clientFiles } from '../client/client_files.ts';
import { readSidecar, readSidecars } from '../client/sidecar.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer/tokenizer.ts';

/** The tokenizer that a bundle of this checkpoint gets; undefined when there is none. @throws BadInputError for a damaged one, or another model's */
export async function checkpointTokenizer({ config, sidecars }: Checkpoint, metadata: ProgramMetadata, named?: string): Promise<Tokenizer | undefined> {
  const tokenizer = named === undefined ? undefined : await readSidecar(named);
  const { files } = clientFiles({ config, sidecars: await readSidecars(sidecars), tokenizer, metadata, onnxFiles: [] });
  const parsed = (name: string) => {
    const file = files.find((other) => other.name === name);
    return file && (JSON.parse(file.text) as object);
  };
  const json = parsed('tokenizer.json');
  return json && loadTokenizer(json, parsed('tokenizer_config.json'), named ?? 'tokenizer.json');
}

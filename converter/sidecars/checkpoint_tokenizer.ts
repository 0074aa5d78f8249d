import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { preparedFiles } from './prepared_files.ts';
import { readSidecar, readSidecars } from './sidecar.ts';

/**
 * The tokenizer that a bundle of this checkpoint gets; undefined when there is none.
 * @throws BadInputError for a damaged one, or another model's
 */
export async function checkpointTokenizer(
  { config, sidecars }: Pick<Checkpoint, 'config' | 'sidecars'>,
  metadata: ProgramMetadata,
  named?: string,
): Promise<Tokenizer | undefined> {
  const source = named === undefined ? undefined : await readSidecar(named);
  const prepared = preparedFiles({ config, sidecars: await readSidecars(sidecars), tokenizer: source, metadata });
  const files = new Map(prepared.tokenizer().value.map(({ name, text }) => [name, text]));
  const parsed = (name: string): object | undefined => {
    const text = files.get(name);
    return text === undefined ? undefined : (JSON.parse(text) as object);
  };
  const tokenizer = parsed('tokenizer.json');
  return tokenizer && loadTokenizer(tokenizer, parsed('tokenizer_config.json'));
}

import type { PreparedFiles } from '../../backends/client_files.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/**
 * The tokenizer that a bundle with these files gets; undefined when there is none.
 * @throws BadInputError for a damaged one, or another model's
 */
export function checkpointTokenizer(prepared: Pick<PreparedFiles, 'tokenizer'>): Tokenizer | undefined {
  const files = new Map(prepared.tokenizer().value.map(({ name, text }) => [name, text]));
  const parsed = (name: string): object | undefined => {
    const text = files.get(name);
    return text === undefined ? undefined : (JSON.parse(text) as object);
  };
  const tokenizer = parsed('tokenizer.json');
  return tokenizer && loadTokenizer(tokenizer, parsed('tokenizer_config.json'));
}

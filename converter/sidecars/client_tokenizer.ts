import type { ClientFile } from './client_file.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';

/**
 * The tokenizer among the files of a bundle that is not written yet (`clientFiles`); undefined when the model has none.
 */
export function clientTokenizer(files: readonly ClientFile[]): Tokenizer | undefined {
  const parsed = (name: string): object | undefined => {
    const file = files.find((candidate) => candidate.name === name);
    return file && (JSON.parse(file.text) as object);
  };
  const tokenizer = parsed('tokenizer.json');
  return tokenizer && loadTokenizer(tokenizer, parsed('tokenizer_config.json'));
}

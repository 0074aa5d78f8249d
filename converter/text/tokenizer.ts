import { Tokenizer as Library } from '@huggingface/tokenizers';
import { RuntimeError } from '../../backends/client/errors.ts';
import { openTokenizer, type Tokenizer } from '../../backends/client/text/tokenizer.ts';
import { BadInputError } from '../errors.ts';

export type { EncodeOptions, Tokenizer } from '../../backends/client/text/tokenizer.ts';

/**
 * Opens the parsed contents of a tokenizer.json and of its tokenizer_config.json, as the runtimes do.
 * @throws BadInputError when the library cannot build it.
 */
export function loadTokenizer(tokenizerJson: object, tokenizerConfig: object = {}, file = 'tokenizer.json'): Tokenizer {
  try {
    return openTokenizer(Library, tokenizerJson, tokenizerConfig);
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    const { problem, hint } = error;
    throw new BadInputError('bad_tokenizer', problem, { file, ...(hint !== undefined && { hint }) }, { cause: error });
  }
}

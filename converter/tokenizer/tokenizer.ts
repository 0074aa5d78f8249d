import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { BadInputError } from '../errors.ts';

export interface DecodeOptions {
  /** Leave out `<bos>`, `<eos>`, `<pad>` and `<image>`; `<loc>` and `<seg>` stay. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Text to ids and back, as the bundle's client does it. */
export interface Tokenizer {
  /** Adds no special tokens; those written out in the text count. */
  encode(text: string): number[];
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Undefined when there is no such token. */
  idOf(token: string): number | undefined;
}

/**
 * Opens the parsed contents of a tokenizer.json and of its tokenizer_config.json.
 * @throws BadInputError when the library cannot build it.
 */
export function loadTokenizer(tokenizerJson: object, tokenizerConfig: object = {}, file = 'tokenizer.json'): Tokenizer {
  const tokenizer = build(tokenizerJson, tokenizerConfig, file);
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    // The library refuses an empty list, and tidies spaces before punctuation unless told not to.
    decode: (ids, { skipSpecialTokens = false } = {}) =>
      ids.length === 0 ? '' : tokenizer.decode([...ids], { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false }),
    idOf: (token) => tokenizer.token_to_id(token),
  };
}

function build(tokenizerJson: object, tokenizerConfig: object, file: string): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(tokenizerJson, tokenizerConfig);
  } catch (cause) {
    throw new BadInputError('bad_tokenizer', `@huggingface/tokenizers cannot open it: ${(cause as Error).message}`, { file, hint: 'take the tokenizer.json of the model again' }, { cause });
  }
}

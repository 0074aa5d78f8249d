import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { BadInputError } from '../errors.ts';
import { IMAGE_TOKEN } from './tokenizer_json.ts';

export interface DecodeOptions {
  /** Leave out `<bos>`, `<eos>`, `<pad>` and `<image>`; `<loc>` and `<seg>` stay. Default false. */
  readonly skipSpecialTokens?: boolean;
}

export interface EncodeOptions {
  /**
   * `<bos>`, `<eos>`, `<pad>`, `<unk>` and `<image>` in the text are characters like others, as SentencePiece, and so
   * big_vision, takes them; `<loc0000>` and all else that SentencePiece calls user-defined is found all the same.
   * Default false: they are tokens, as in Hugging Face and the client.
   */
  readonly controlsAsText?: boolean;
}

/** Text to ids and back, as the bundle's client does it. */
export interface Tokenizer {
  /** Adds no special tokens. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * In bytes that are no UTF-8, what is text stays, where Hugging Face's Python makes every byte of such a run U+FFFD.
   */
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
  let plain = () => {
    const built = build(withoutControlsIn(tokenizerJson, tokenizerConfig), tokenizerConfig, file);
    plain = () => built;
    return built;
  };
  return {
    encode: (text, { controlsAsText = false } = {}) =>
      (controlsAsText ? plain() : tokenizer).encode(text, { add_special_tokens: false }).ids,
    // The library refuses an empty list, and tidies spaces before punctuation unless told not to.
    decode: (ids, { skipSpecialTokens = false } = {}) =>
      ids.length === 0
        ? ''
        : tokenizer.decode([...ids], { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false }),
    idOf: (token) => tokenizer.token_to_id(token),
  };
}

function build(tokenizerJson: object, tokenizerConfig: object, file: string): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(tokenizerJson, tokenizerConfig);
  } catch (cause) {
    throw new BadInputError(
      'bad_tokenizer',
      `@huggingface/tokenizers cannot open it: ${(cause as Error).message}`,
      { file, hint: 'take the tokenizer.json of the model again' },
      { cause },
    );
  }
}

const CONTROL_ROLES = { bos_token: '<bos>', eos_token: '<eos>', pad_token: '<pad>', unk_token: '<unk>' } as const;

/**
 * The tokenizer without those tokens that SentencePiece does not look for in text: control pieces, the unknown piece,
 * and `<image>`, which its model has not. By role, for tokenizer.json calls user-defined pieces special as well.
 */
function withoutControlsIn(tokenizerJson: object, tokenizerConfig: object): object {
  const config = tokenizerConfig as Readonly<Record<string, unknown>>;
  const contentOf = (token: unknown) =>
    typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  const controls = new Set<unknown>([
    IMAGE_TOKEN,
    ...Object.entries(CONTROL_ROLES).map(([role, usual]) => contentOf(config[role]) ?? usual),
  ]);
  const { added_tokens: added } = tokenizerJson as { readonly added_tokens: readonly { readonly content: string }[] };
  return { ...tokenizerJson, added_tokens: added.filter((token) => !controls.has(token.content)) };
}

import { RuntimeError } from '../errors.ts';
import { unsoundPattern } from './foreign_patterns.ts';

export const IMAGE_TOKEN = '<image>';

/** What is used of @huggingface/tokenizers, whose own declarations `moduleResolution: nodenext` cannot follow. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
}

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
  /** Adds no special tokens. @throws RuntimeError `damaged` where there is none for a part of the text */
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
 * @param Library of @huggingface/tokenizers: pages load it when they need it, the command line from the start
 * @param name of the file, for messages
 * @throws RuntimeError `damaged` when the library cannot build it, and for a regular expression that may take forever
 */
export function openTokenizer(
  Library: new (tokenizerJson: object, tokenizerConfig: object) => HuggingFaceTokenizer,
  tokenizerJson: object,
  tokenizerConfig: object,
  name = 'tokenizer.json',
): Tokenizer {
  const unsound = unsoundPattern(tokenizerJson);
  if (unsound !== undefined)
    throw new RuntimeError(
      'damaged',
      `${name} has a pattern that is none, or might take forever: ${unsound.slice(0, 80)}`,
      'take the tokenizer.json of the original model, which has none like it',
    );
  const run = <T>(what: string, work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw new RuntimeError(
        'damaged',
        `@huggingface/tokenizers cannot ${what} ${name}: ${(cause as Error).message}`,
        'take the tokenizer.json of the model again',
        { cause },
      );
    }
  };
  const build = (json: object) => run('open', () => new Library(json, tokenizerConfig));
  const tokenizer = build(tokenizerJson);
  let plain = () => {
    const built = build(withoutControlsIn(tokenizerJson, tokenizerConfig));
    plain = () => built;
    return built;
  };
  return {
    encode(text, { controlsAsText = false } = {}) {
      const of = controlsAsText ? plain() : tokenizer;
      const { ids } = run('take a text apart with', () => of.encode(text, { add_special_tokens: false }));
      if (!ids.every((id: unknown) => Number.isSafeInteger(id)))
        throw new RuntimeError(
          'damaged',
          `${name} has no token for a part of the text, and none for what is unknown`,
          'take the tokenizer.json of the model again',
        );
      return ids;
    },
    decode: (ids, { skipSpecialTokens = false } = {}) =>
      // the library refuses an empty list, and tidies spaces before punctuation unless told not to
      aroundByteOrderMarks(ids, markOf(tokenizer), (part) =>
        part.length === 0
          ? ''
          : run('make a text with', () =>
              tokenizer.decode([...part], {
                skip_special_tokens: skipSpecialTokens,
                clean_up_tokenization_spaces: false,
              }),
            ),
      ),
    idOf: (token) => tokenizer.token_to_id(token),
  };
}

/** Bytes of U+FEFF as ids, where a tokenizer has bytes. */
function markOf(tokenizer: HuggingFaceTokenizer): readonly number[] {
  const ids = ['<0xEF>', '<0xBB>', '<0xBF>'].map((token) => tokenizer.token_to_id(token));
  return ids.every((id) => id !== undefined) ? ids : [];
}

/**
 * Text of ids whose U+FEFF stay: the library drops one where a run of bytes begins with it. (Parts of ids decode to
 * parts of the text, for a tokenizer with bytes strips nothing.)
 */
function aroundByteOrderMarks(
  ids: readonly number[],
  mark: readonly number[],
  decode: (part: readonly number[]) => string,
): string {
  if (mark.length === 0) return decode(ids);
  const parts: string[] = [];
  let begin = 0;
  for (let at = 0; at < ids.length; at++)
    if (mark.every((id, i) => ids[at + i] === id)) {
      parts.push(decode(ids.slice(begin, at)), '\uFEFF');
      begin = at + mark.length;
      at = begin - 1;
    }
  return [...parts, decode(ids.slice(begin))].join('');
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

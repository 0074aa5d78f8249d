import type { ModelFacts } from '../model_facts.ts';
import { RuntimeError } from '../errors.ts';
import { readJson, type BundleSource } from '../sources/source.ts';
import type { PixelMode } from '../images/pixels.ts';

/** Text to ids and back, as the bundle's tokenizer.json does it. */
export interface Text {
  /**
   * Ids of a prompt: image tokens, `<bos>`, the prompt and a newline.
   * @throws RuntimeError `bad_input` for a prompt that holds those itself
   */
  promptIds(prompt: string, images: number): number[];
  /** Without special tokens; `<loc0000>` and `<seg000>` stay. */
  decode(ids: readonly number[]): string;
}

/**
 * @param mode big_vision makes ids of the newline apart, Hugging Face together with the prompt, where they may merge
 * @throws RuntimeError `not_found` for a bundle without a tokenizer, `damaged` when it cannot be built
 */
export async function openText(
  source: BundleSource,
  { imageTokens, imageTokenId }: ModelFacts,
  mode: PixelMode = 'huggingface',
): Promise<Text> {
  const [{ Tokenizer }, tokenizerJson, config] = await Promise.all([
    import('@huggingface/tokenizers'),
    readJson(source, 'tokenizer.json'),
    readJson(source, 'tokenizer_config.json').catch(() => ({})),
  ]);
  let tokenizer: InstanceType<typeof Tokenizer>;
  try {
    tokenizer = new Tokenizer(tokenizerJson, config);
  } catch (cause) {
    throw new RuntimeError('damaged', `${source.name}: tokenizer.json is no tokenizer`, 'convert the bundle again', {
      cause,
    });
  }
  const texts = (prompt: string) =>
    mode === 'bigvision' ? ['<bos>', ...(prompt === '' ? [] : [prompt]), '\n'] : [`<bos>${prompt}\n`];
  return {
    promptIds(prompt, images) {
      for (const token of ['<bos>', '<image>'])
        if (prompt.includes(token))
          throw new RuntimeError(
            'bad_input',
            `the prompt contains ${token}, which is put before it`,
            `leave ${token} out`,
          );
      return [
        ...Array<number>(images * imageTokens).fill(imageTokenId),
        ...texts(prompt).flatMap((text) => tokenizer.encode(text, { add_special_tokens: false }).ids),
      ];
    },
    // the library refuses an empty list, and tidies spaces before punctuation unless told not to
    decode: (ids) =>
      ids.length === 0
        ? ''
        : tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
  };
}

/** Text piece by piece as its ids come: bytes of a character that is not whole yet are held back. */
export class TextPieces {
  readonly #decode: Text['decode'];
  readonly #ids: number[] = [];
  #given = 0;

  constructor(decode: Text['decode']) {
    this.#decode = decode;
  }

  add(id: number): string {
    this.#ids.push(id);
    return this.#piece(/\uFFFD+$/);
  }

  /** What was held back and will not become whole. */
  end(): string {
    return this.#piece(/$/);
  }

  #piece(unfinished: RegExp): string {
    const text = this.#decode(this.#ids).replace(unfinished, '');
    const piece = text.slice(this.#given);
    this.#given = Math.max(this.#given, text.length);
    return piece;
  }
}

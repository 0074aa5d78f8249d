import type { ProgramMetadata } from '../../../ir/metadata.ts';
import type { PixelMode } from '../images/processor.ts';
import { readJson, readJsonIfThere, type BundleSource } from '../sources/source.ts';
import { promptIds } from './prompt.ts';
import { openTokenizer } from './tokenizer.ts';

/** Text to ids and back, as the bundle's tokenizer.json does it. */
export interface Text {
  /**
   * Ids of a prompt: image tokens, `<bos>`, the prompt and a newline.
   * @throws RuntimeError `bad_input` for a prompt that cannot be, see `promptIds`
   */
  promptIds(prompt: string, images: number): number[];
  /** Without special tokens; `<loc0000>` and `<seg000>` stay. */
  decode(ids: readonly number[]): string;
}

/**
 * @param mode whose prompts, see `promptIds`
 * @throws RuntimeError `not_found` for a bundle without a tokenizer, `damaged` when it cannot be built
 */
export async function openText(
  source: BundleSource,
  { imageTokens }: Pick<ProgramMetadata, 'imageTokens'>,
  mode: PixelMode = 'huggingface',
): Promise<Text> {
  const [{ Tokenizer }, tokenizerJson, config] = await Promise.all([
    import('@huggingface/tokenizers'),
    readJson(source, 'tokenizer.json'),
    readJsonIfThere(source, 'tokenizer_config.json'),
  ]);
  const tokenizer = openTokenizer(Tokenizer, tokenizerJson, config, `${source.name}: tokenizer.json`);
  return {
    promptIds: (prompt, images) => promptIds(tokenizer, { imageTokens, prompt, images, mode }),
    decode: (ids) => tokenizer.decode(ids, { skipSpecialTokens: true }),
  };
}

import { UsageError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { IMAGE_TOKEN } from './tokenizer_json.ts';

/**
 * How prompt and separator become tokens: `huggingface` tokenises `<bos>` + prompt + `"\n"` as one text, `bigvision` the
 * prompt and `"\n"` apart. They differ when the prompt ends in white space that merges with a newline.
 */
export type PromptMode = 'huggingface' | 'bigvision';

export interface PromptOptions {
  /** Tokens of one image. */
  readonly imageTokens: number;
  /** What the user asks, such as `caption en`: may be empty, and may say `<image>` where the images are. */
  readonly prompt: string;
  /** Default 1. */
  readonly images?: number;
  /** Default `huggingface`. */
  readonly mode?: PromptMode;
  /** Default `<bos>`. */
  readonly bosToken?: string;
}

/**
 * Ids of a PaliGemma prompt: the image tokens, then `<bos>` once, the prompt and a newline.
 * @throws UsageError when the prompt says `<bos>`, or `<image>` more or less often than there are images.
 */
export function buildPrompt(tokenizer: Tokenizer, { imageTokens, prompt, images = 1, mode = 'huggingface', bosToken = '<bos>' }: PromptOptions): number[] {
  if (prompt.includes(bosToken)) throw new UsageError('bad_prompt', `the prompt contains ${bosToken}, which is added to every prompt once`, { hint: `leave ${bosToken} out` });
  const said = prompt.split(IMAGE_TOKEN).length - 1;
  if (said > 0 && said !== images)
    throw new UsageError('bad_prompt', `the prompt says ${IMAGE_TOKEN} ${said} times for ${images} image${images === 1 ? '' : 's'}`, {
      hint: `say ${IMAGE_TOKEN} once per image, or not at all`,
    });
  const withImages = said > 0 ? prompt : IMAGE_TOKEN.repeat(images) + prompt;
  const afterImages = images > 0 ? withImages.lastIndexOf(IMAGE_TOKEN) + IMAGE_TOKEN.length : 0;
  const head = withImages.slice(0, afterImages).replaceAll(IMAGE_TOKEN, IMAGE_TOKEN.repeat(imageTokens));
  const tail = withImages.slice(afterImages);
  if (mode === 'huggingface') return tokenizer.encode(`${head}${bosToken}${tail}\n`);
  if (head.replaceAll(IMAGE_TOKEN, '') !== '')
    throw new UsageError('bad_prompt', `text before ${IMAGE_TOKEN}: big_vision puts the images first`, { hint: `write ${IMAGE_TOKEN} first, or use the mode huggingface` });
  return [...tokenizer.encode(head + bosToken), ...tokenizer.encode(tail), ...tokenizer.encode('\n')];
}

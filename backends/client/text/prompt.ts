import { RuntimeError } from '../errors.ts';
import type { PixelMode } from '../images/processor.ts';
import { IMAGE_TOKEN, type Tokenizer } from './tokenizer.ts';

const BOS_TOKEN = '<bos>';

export interface PromptOptions {
  /** Tokens of one image. */
  readonly imageTokens: number;
  /**
   * What the user asks, such as `caption en`: may be empty, and may say `<image>` where the images are (`bigvision`:
   * first).
   */
  readonly prompt: string;
  /** Default 1. */
  readonly images?: number;
  /**
   * Default `huggingface`: tokenises `<bos>` + prompt + `"\n"` as one text in which special tokens are found.
   * `bigvision`: the prompt and `"\n"` apart, with SentencePiece (big_vision/pp/ops_text.py): there `<bos>`, `<eos>`,
   * `<pad>`, `<unk>` and `<image>` written in the prompt are characters. They differ for such prompts, and for those
   * that end in white space that merges with a newline.
   */
  readonly mode?: PixelMode;
}

/**
 * Ids of a PaliGemma prompt: the image tokens, then `<bos>` once, the prompt and a newline.
 * @throws RuntimeError `bad_input` when the prompt says `<image>` more or less often than there are images, or, for
 * Hugging Face, `<bos>`
 */
export function promptIds(
  tokenizer: Tokenizer,
  { imageTokens, prompt, images = 1, mode = 'huggingface' }: PromptOptions,
): number[] {
  if (mode === 'bigvision') {
    const said = prompt.length - prompt.replace(/^(<image>)+/, '').length;
    checkImages(said / IMAGE_TOKEN.length, images);
    const asText = { controlsAsText: true };
    return [
      ...tokenizer.encode(IMAGE_TOKEN.repeat(imageTokens * images) + BOS_TOKEN),
      ...tokenizer.encode(prompt.slice(said), asText),
      ...tokenizer.encode('\n', asText),
    ];
  }
  if (prompt.includes(BOS_TOKEN))
    throw new RuntimeError(
      'bad_input',
      `the prompt contains ${BOS_TOKEN}, which is added to every prompt once`,
      `leave ${BOS_TOKEN} out`,
    );
  const said = prompt.split(IMAGE_TOKEN).length - 1;
  checkImages(said, images);
  const withImages = said > 0 ? prompt : IMAGE_TOKEN.repeat(images) + prompt;
  const afterImages = images > 0 ? withImages.lastIndexOf(IMAGE_TOKEN) + IMAGE_TOKEN.length : 0;
  const head = withImages.slice(0, afterImages).replaceAll(IMAGE_TOKEN, IMAGE_TOKEN.repeat(imageTokens));
  return tokenizer.encode(`${head}${BOS_TOKEN}${withImages.slice(afterImages)}\n`);
}

function checkImages(said: number, images: number): void {
  if (said > 0 && said !== images)
    throw new RuntimeError(
      'bad_input',
      `the prompt says ${IMAGE_TOKEN} ${said} times for ${images} image${images === 1 ? '' : 's'}`,
      `say ${IMAGE_TOKEN} once per image, or not at all`,
    );
}

import type { Model } from '../../verify/decode.ts';
import { generateRow } from '../../verify/generate.ts';
import { padLeft } from '../../verify/prompt.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import { PROCESSORS, type Processor } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { buildPrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

export interface AnswerOptions {
  readonly image: RgbImage;
  readonly prompt: string;
  /** Default 100. */
  readonly maxNewTokens?: number;
  /** How the picture becomes pixel values, and whose prompt tokens; default Hugging Face's own. */
  readonly processor?: Processor;
  /** Hears the text so far after each token. */
  readonly onText?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Answer {
  /** Without special tokens; `<loc>` and `<seg>` stay. */
  readonly text: string;
  /** With the end token, when it came. */
  readonly tokens: readonly number[];
}

/**
 * What a model says to a picture and a prompt, greedily.
 * @throws UsageError for a prompt that cannot be, VerifyError when it is too long.
 */
export async function answer(model: Model, tokenizer: Tokenizer, options: AnswerOptions): Promise<Answer> {
  const { image, prompt, maxNewTokens = 100, processor = PROCESSORS.huggingface, onText, signal } = options;
  const { imageSize, imageTokens, imageTokenId, padTokenId } = model.metadata;
  const ids = buildPrompt(tokenizer, { imageTokens, prompt, mode: processor.mode });
  const pixels = toPixelValues(image, imageSize, processor);
  const input = {
    pixelValues: { dtype: 'f32' as const, shape: [1, 3, imageSize, imageSize], data: pixels },
    ...padLeft([ids], padTokenId),
    imageTokenId,
  };
  const tokens: number[] = [];
  const textOf = () => tokenizer.decode(tokens, { skipSpecialTokens: true });
  for await (const token of generateRow(model, input, { maxNewTokens, ...(signal && { signal }) })) {
    tokens.push(token);
    onText?.(textOf());
  }
  return { text: textOf(), tokens };
}

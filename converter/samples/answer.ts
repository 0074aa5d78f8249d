import type { Model } from '../../verify/decode.ts';
import { generateRow } from '../../verify/generate.ts';
import { padLeft } from '../../verify/prompt.ts';
import { TokenSampler } from '../../backends/client/generation/sample.ts';
import { samplingOf, type SamplingOptions } from '../../backends/client/generation/sampling.ts';
import { StopStrings } from '../../backends/client/generation/stop_strings.ts';
import { TextPieces } from '../../backends/client/text/text_pieces.ts';
import { picturesBeside } from '../../backends/client/generation/prompt.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { PROCESSORS, type PixelMode, type Processor } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { UsageError } from '../errors.ts';
import { buildPrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

export interface AnswerOptions {
  /** The picture, or pictures in the order of the prompt. */
  readonly image: RgbImage | readonly RgbImage[];
  readonly prompt: string;
  /** Default 100. */
  readonly maxNewTokens?: number;
  /** How the picture becomes pixel values, and whose prompt tokens; default Hugging Face's own. */
  readonly processor?: Processor;
  /** How tokens are chosen; default the likeliest. */
  readonly sampling?: SamplingOptions;
  /** Texts that end the answer, and are no part of it. */
  readonly stopStrings?: readonly string[];
  /** Hears the text, piece by piece as its tokens come. */
  readonly onPiece?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Answer {
  /** Without special tokens; `<loc>` and `<seg>` stay. */
  readonly text: string;
  /** With the end token, when it came. */
  readonly tokens: readonly number[];
}

/**
 * What a model says to pictures and a prompt: greedily, unless told otherwise.
 * @throws UsageError for a prompt that cannot be, and for more pictures than the model has positions for; VerifyError
 * when the prompt is too long.
 */
export async function answer(model: Model, tokenizer: Tokenizer, options: AnswerOptions): Promise<Answer> {
  const { image, prompt, maxNewTokens = 100, processor = PROCESSORS.huggingface, onPiece, signal } = options;
  const sampling = samplingOf(options.sampling ?? {});
  const { imageSize, imageTokenId, padTokenId } = model.metadata;
  const images = [image].flat() as readonly RgbImage[];
  const ids = promptOfPictures(tokenizer, model.metadata, { prompt, images: images.length, mode: processor.mode });
  const size = 3 * imageSize ** 2;
  const pixels = new Float32Array(images.length * size);
  for (const [i, picture] of images.entries()) pixels.set(toPixelValues(picture, imageSize, processor), i * size);
  const input = {
    pixelValues: { dtype: 'f32' as const, shape: [images.length, 3, imageSize, imageSize], data: pixels },
    ...padLeft([ids], padTokenId),
    imageTokenId,
  };
  const [rows, length] = input.inputIds.shape as readonly [number, number];
  const sampler = TokenSampler.isGreedy(sampling)
    ? undefined
    : new TokenSampler(sampling, {
        ...{ rows, length },
        inputIds: Array.from(input.inputIds.data, Number),
        attentionMask: Array.from(input.attentionMask.data, Number),
      });
  const tokens: number[] = [];
  const pieces = new TextPieces((read) => tokenizer.decode(read, { skipSpecialTokens: true }));
  const until = new StopStrings(options.stopStrings);
  let text = '';
  const say = (piece: string) => {
    text += piece;
    if (piece !== '') onPiece?.(piece);
  };
  const wanted = {
    maxNewTokens,
    ...(sampler && { choose: (row: number, logits: Float32Array) => sampler.next(row, logits) }),
    ...(signal && { signal }),
  };
  for await (const token of generateRow(model, input, wanted)) {
    tokens.push(token);
    say(until.add(pieces.add(token)));
    if (until.stopped) break;
  }
  say(until.add(pieces.end()) + until.end());
  return { text, tokens };
}

/**
 * Ids of a prompt and its pictures, which need not be decoded for it.
 * @throws UsageError for a prompt that cannot be, and for more pictures than the model has positions for. A prompt that
 * is too long with one picture is told when it is read
 */
export function promptOfPictures(
  tokenizer: Tokenizer,
  metadata: Pick<ProgramMetadata, 'imageTokens' | 'maxPositions'>,
  { prompt, images, mode }: { readonly prompt: string; readonly images: number; readonly mode: PixelMode },
): number[] {
  const { imageTokens, maxPositions } = metadata;
  const ids = buildPrompt(tokenizer, { imageTokens, prompt, images, mode });
  if (images < 2 || ids.length <= maxPositions) return ids;
  const tokens = ids.length;
  const text = tokens - images * imageTokens;
  throw new UsageError(
    'too_many_pictures',
    `${images} pictures are ${images * imageTokens} tokens, with the prompt ${tokens}: the model has ${maxPositions} positions`,
    { hint: `give ${picturesBeside(text, metadata)} pictures at most; of frames, fewer with --every` },
  );
}

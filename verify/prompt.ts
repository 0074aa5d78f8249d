import type { ProgramMetadata } from '../ir/graph.ts';
import { elementCount, tensorOf, type Tensor } from '../ir/tensor.ts';
import { VerifyError } from './error.ts';

/** What a prefill reads: images, and rows of tokens with image tokens first. A query of ColPali has text only. */
export interface Prompt {
  /** f32[images, 3, S, S] in [-1, 1]: the images of the first row, then those of the second, ... */
  readonly pixelValues: Tensor;
  /** i64[B, T]: padding on the left, image tokens, text. */
  readonly inputIds: Tensor;
  /** i64[B, T]: 1 for tokens, 0 for padding. */
  readonly attentionMask: Tensor;
  /** The id that stands for image tokens in these rows; recordings may have another than the model's own. */
  readonly imageTokenId: number;
  /** Of the first token of each row; default 1. A few tokens can then be read at the last positions of a model. */
  readonly firstPosition?: number;
}

/** Rows of different length as one prompt, padded on the left: pads are masked and positions do not count them. */
export function padLeft(
  rows: readonly (readonly number[])[],
  padTokenId: number,
): { inputIds: Tensor; attentionMask: Tensor } {
  const length = Math.max(0, ...rows.map((row) => row.length));
  const shape = [rows.length, length];
  const padded = (row: readonly number[], fill: number, values: readonly number[]) => [
    ...Array<number>(length - row.length).fill(fill),
    ...values,
  ];
  return {
    inputIds: tensorOf(
      'i64',
      shape,
      rows.flatMap((row) => padded(row, padTokenId, row)),
    ),
    attentionMask: tensorOf(
      'i64',
      shape,
      rows.flatMap((row) =>
        padded(
          row,
          0,
          row.map(() => 1),
        ),
      ),
    ),
  };
}

/** One row: the image tokens of `images` images, then text (which starts with <bos>). */
export function promptRow(
  { imageTokens, imageTokenId }: Pick<ProgramMetadata, 'imageTokens' | 'imageTokenId'>,
  text: readonly number[],
  images = 1,
): number[] {
  return [...Array<number>(images * imageTokens).fill(imageTokenId), ...text];
}

/**
 * Position ids i64[B, last `count` of T]: the running count of tokens, from `first`; padding gets 1. From 1, this is
 * what Hugging Face and transformers.js feed (spec B.3); only differences matter to rotary embeddings.
 */
export function positionIds(attentionMask: Tensor, count = attentionMask.shape[1]!, first = 1): Tensor {
  const [batch, length] = attentionMask.shape as readonly [number, number];
  const positions: number[] = [];
  for (let b = 0; b < batch; b++) {
    let seen = 0;
    for (let t = 0; t < length; t++) {
      const token = attentionMask.data[b * length + t] !== 0;
      if (token) seen++;
      if (t >= length - count) positions.push(token ? first - 1 + seen : 1);
    }
  }
  return tensorOf('i64', [batch, count], positions);
}

/** The mask with `count` more tokens in every row. */
export function extendMask(attentionMask: Tensor, count: number): Tensor {
  const [batch, length] = attentionMask.shape as readonly [number, number];
  const data = new Float64Array(batch * (length + count)).fill(1);
  for (let b = 0; b < batch; b++)
    data.set(attentionMask.data.subarray(b * length, (b + 1) * length), b * (length + count));
  return { dtype: 'i64', shape: [batch, length + count], data };
}

/** For each image token, in order: the row of inputs_embeds that it takes. */
function imagePlaces({ inputIds, attentionMask, imageTokenId }: Prompt): number[] {
  const places: number[] = [];
  for (let i = 0; i < inputIds.data.length; i++)
    if (inputIds.data[i] === imageTokenId && attentionMask.data[i] !== 0) places.push(i);
  return places;
}

/** @throws VerifyError when the parts of a prompt contradict each other or the model. */
export function checkPrompt(prompt: Prompt, { imageTokens, imageSize, maxPositions }: ProgramMetadata): void {
  const { inputIds, attentionMask, pixelValues, firstPosition = 1 } = prompt;
  if (inputIds.shape.length !== 2 || inputIds.shape.join() !== attentionMask.shape.join())
    throw new VerifyError(
      'bad_case',
      `input_ids [${inputIds.shape}] and attention_mask [${attentionMask.shape}] must be [batch, tokens]`,
    );
  const [images, channels, height, width] = pixelValues.shape;
  if (pixelValues.shape.length !== 4 || channels !== 3 || height !== imageSize || width !== imageSize)
    throw new VerifyError(
      'bad_case',
      `pixel_values [${pixelValues.shape}] must be [images, 3, ${imageSize}, ${imageSize}]`,
      'resize the images to the size of the model',
    );
  const found = imagePlaces(prompt).length;
  if (found !== images! * imageTokens)
    throw new VerifyError(
      'bad_case',
      `${found} image tokens for ${images} images of ${imageTokens} each`,
      `put ${imageTokens} tokens ${prompt.imageTokenId} before the text for every image`,
    );
  if (!Number.isInteger(firstPosition) || firstPosition < 1)
    throw new VerifyError(
      'bad_case',
      `the first position is ${firstPosition}`,
      'give a whole number: positions are counted from 1',
    );
  checkPositions(inputIds.shape[1]!, firstPosition, maxPositions);
}

/** @throws VerifyError `too_long` when the model has not as many positions from the first one on */
export function checkPositions(tokens: number, firstPosition: number, maxPositions: number): void {
  if (firstPosition - 1 + tokens <= maxPositions) return;
  const from = firstPosition === 1 ? '' : ` from position ${firstPosition} on`;
  throw new VerifyError(
    'too_long',
    `${tokens} tokens${from}: the model has ${maxPositions} positions`,
    'shorten the prompt, or ask for fewer tokens',
  );
}

/**
 * Rows of image features, in order, in the places of image tokens; they are not scaled (spec A.4). Returns a new
 * tensor.
 */
export function mergeImageFeatures(embeddings: Tensor, features: Tensor, prompt: Prompt): Tensor {
  const width = embeddings.shape.at(-1)!;
  if (features.shape.at(-1) !== width)
    throw new VerifyError(
      'bad_output',
      `image features are ${features.shape.at(-1)} wide, embeddings ${width}`,
      'let the vision encoder end with the projector (vision, image_features), which makes them as wide as embeddings',
    );
  const data = embeddings.data.slice();
  imagePlaces(prompt).forEach((place, i) =>
    data.set(features.data.subarray(i * width, (i + 1) * width), place * width),
  );
  return { dtype: embeddings.dtype, shape: embeddings.shape, data };
}

/** One row of a batch as a prompt of its own, without padding. */
export function promptMember(
  prompt: Prompt,
  row: number,
  { imageTokens }: Pick<ProgramMetadata, 'imageTokens'>,
): Prompt {
  const [, length] = prompt.inputIds.shape as readonly [number, number];
  const imagesBefore = imagePlaces(prompt).filter((place) => place < row * length).length / imageTokens;
  const images = imagePlaces(prompt).filter((place) => Math.floor(place / length) === row).length / imageTokens;
  const ids: number[] = [];
  for (let t = row * length; t < (row + 1) * length; t++)
    if (prompt.attentionMask.data[t] !== 0) ids.push(prompt.inputIds.data[t]!);
  const { pixelValues } = prompt;
  const size = elementCount(pixelValues.shape.slice(1));
  return {
    pixelValues: {
      dtype: pixelValues.dtype,
      shape: [images, ...pixelValues.shape.slice(1)],
      data: pixelValues.data.slice(imagesBefore * size, (imagesBefore + images) * size),
    },
    ...padLeft([ids], 0),
    imageTokenId: prompt.imageTokenId,
    ...(prompt.firstPosition !== undefined && { firstPosition: prompt.firstPosition }),
  };
}

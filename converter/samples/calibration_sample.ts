import type { ProgramMetadata } from '../../ir/graph.ts';
import { padLeft, type Prompt } from '../../verify/prompt.ts';
import { toPixelValues } from '../../backends/client/images/pixels.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';

/** One picture with one prompt, of which the model is shown what it computes. */
export interface CalibrationSample {
  /** For progress and messages. */
  readonly name: string;
  /** By which its picture is known (`pictureKey`): copies are one. */
  readonly picture: string;
  /** The row, read or drawn when it is asked for. @throws BadInputError for a damaged picture. */
  load(): Promise<Prompt>;
}

/** A picture and the ids of its row, image tokens first, as a prompt of one row: nothing in it is padding. */
export function promptOf(
  image: RgbImage,
  ids: readonly number[],
  { imageSize, imageTokenId, padTokenId }: ProgramMetadata,
  processor: Processor,
): Prompt {
  const pixels = toPixelValues(image, imageSize, processor);
  return {
    pixelValues: { dtype: 'f32', shape: [1, 3, imageSize, imageSize], data: pixels },
    ...padLeft([ids], padTokenId),
    imageTokenId,
  };
}

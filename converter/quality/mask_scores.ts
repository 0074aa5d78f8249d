import type { AnswerObject } from '../../backends/client/answers/objects.ts';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import type { Model } from '../../verify/decode.ts';
import { masksOf } from '../samples/answer_masks.ts';
import { maskOverlap, pastedMasks } from '../samples/mask_overlap.ts';
import type { TrueMasks } from '../samples/true_masks.ts';

/** Objects of an answer with their masks as they are decoded, which are small whatever the picture's size. */
export interface DecodedAnswer {
  readonly objects: readonly AnswerObject[];
  readonly raw: readonly (Float32Array | undefined)[];
}

/** How well the masks of one answer fit, from 0 to 1. */
export interface MaskScores {
  /** Those of the original's answer. */
  readonly original: number;
  /** Those that are right. */
  readonly truth: number;
}

/** What a decoder of masks makes of an answer. */
export async function decodeAnswer(decoder: Model, answer: string): Promise<DecodedAnswer> {
  const { objects } = parseAnswer(answer);
  return { objects, raw: await masksOf(decoder, objects) };
}

export function maskScores(answer: DecodedAnswer, original: DecodedAnswer, { size, masks }: TrueMasks): MaskScores {
  const found = pastedMasks(answer.objects, answer.raw, size);
  return {
    original: maskOverlap(found, pastedMasks(original.objects, original.raw, size)),
    truth: maskOverlap(found, masks),
  };
}

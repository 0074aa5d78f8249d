import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { encodeImages, extend, prefill, type Model } from './decode.ts';
import type { Prompt } from './prompt.ts';
import { joinPositions } from './rows.ts';
import type { CaseStages } from './run_case.ts';
import type { StageNames } from './divergence.ts';

/** What a model makes of a prompt and of an answer that it is told to read on, whatever it would say itself. */
export interface TeacherForced {
  /**
   * [1, text tokens of the prompt + tokens of the answer - 1, V]: the last row of the prompt chooses the first token of
   * the answer.
   */
  readonly logits: Tensor;
  readonly stages: CaseStages;
}

/** Prompt positions whose logits count: those of text. Positions of the image predict nothing that anybody reads. */
export function textTokens({ inputIds, imageTokenId }: Prompt): readonly number[] {
  return [...inputIds.data].filter((id) => id !== imageTokenId);
}

/** For each row of the logits, the token that stands next in the prompt or in the answer. */
export function nextTokens(prompt: Prompt, answer: readonly number[]): readonly (number | undefined)[] {
  const text = textTokens(prompt);
  const next = [...text.slice(1), ...answer];
  return Array.from({ length: text.length + Math.max(0, answer.length - 1) }, (_, row) => next[row]);
}

/**
 * Reads a prompt of one row, and then all of an answer but its last token at once.
 * @throws VerifyError for a prompt that does not fit.
 */
export async function runTeacherForced(
  model: Model,
  prompt: Prompt,
  answer: readonly number[],
  stages: StageNames = {},
): Promise<TeacherForced> {
  const images = await encodeImages(model, prompt.pixelValues, { stages: stages['vision_encoder'] ?? [] });
  return readTeacherForced(model, prompt, images, answer, stages);
}

/** The same behind the image tower, for who has its features. */
export async function readTeacherForced(
  model: Model,
  prompt: Prompt,
  images: Awaited<ReturnType<typeof encodeImages>>,
  answer: readonly number[],
  stages: StageNames = {},
): Promise<TeacherForced> {
  const wanted = { stages: stages['decoder'] ?? [] };
  const read = await prefill(model, prompt, images.features, { ...wanted, logitsToKeep: textTokens(prompt).length });
  const rest = answer.slice(0, -1);
  if (rest.length === 0)
    return { logits: read.logits, stages: { vision: images.stages, prefill: read.stages, suffix: {} } };
  const suffix = await extend(model, read.state, tensorOf('i64', [1, rest.length], rest), wanted);
  return {
    logits: joinPositions([read.logits, suffix.logits]),
    stages: { vision: images.stages, prefill: read.stages, suffix: suffix.stages },
  };
}

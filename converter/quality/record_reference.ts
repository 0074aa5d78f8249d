import type { Tensor } from '../../ir/tensor.ts';
import type { Model } from '../../verify/decode.ts';
import type { StageNames } from '../../verify/divergence.ts';
import { generateRow } from '../../verify/generate.ts';
import { choose } from '../../verify/metrics.ts';
import { rowsOf, type Rows } from '../../verify/rows.ts';
import type { CaseStages } from '../../verify/run_case.ts';
import { BadInputError } from '../errors.ts';
import { decodeAnswer, type DecodedAnswer } from './mask_scores.ts';
import { compareAnswers, type GreedyVerdict } from './greedy_match.ts';
import { runTeacherForced, type TeacherForced } from '../../verify/teacher_forced.ts';
import type { QualityCase } from './quality_cases.ts';
import type { TensorStore } from './tensor_store.ts';

/**
 * Longest answer of a reference that has none recorded: enough positions to compare, and each is a step that waits for
 * every weight.
 */
const MAX_NEW_TOKENS = 32;

/** What the reference makes of a case; its logits and stages lie in a store. */
export interface ReferenceAnswer {
  readonly tokens: readonly number[];
  readonly text: string;
  /** Rows of its logits. */
  readonly positions: number;
  /** Whether it chooses the tokens that were recorded; undefined when none were. */
  readonly recorded?: GreedyVerdict;
  /** With its masks, for a case with true ones. */
  readonly decoded?: DecodedAnswer;
}

export interface RecordOptions {
  readonly store: TensorStore;
  readonly decode: (tokens: readonly number[]) => string;
  /** What counts as a tie of the reference, given its best logit. */
  readonly tieMargin: (logit: number) => number;
  /** Stages to store, for cases that are to be compared stage by stage. */
  readonly stages?: StageNames | undefined;
  /** What makes masks of its answers, where masks are judged. */
  readonly maskDecoder?: Model | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Keys of a case in a store. */
export const logitsKey = (index: number) => `${index} logits`;
export const stageKey = (index: number, phase: keyof CaseStages, stage: string) => `${index} ${phase} ${stage}`;

/**
 * Runs the reference on a case: it reads the answer that was recorded of the original, or else gives its own.
 * @throws BadInputError for a recorded answer that ends too late for the model, VerifyError for a prompt that does not
 * fit
 */
export async function recordReference(
  model: Model,
  index: number,
  quality: QualityCase,
  { store, decode, tieMargin, stages, maskDecoder, signal }: RecordOptions,
): Promise<ReferenceAnswer> {
  const prompt = await quality.load();
  const { recorded } = quality;
  const tokens = recorded?.tokens ?? (await ownAnswer(model, quality, signal));
  const room = model.metadata.maxPositions - prompt.inputIds.shape[1]! + 1; // nothing reads the last token
  if (tokens.length > room)
    throw new BadInputError(
      'bad_samples',
      `the answer to ${quality.name} has ${tokens.length} tokens, and the model has room for ${room}`,
      { hint: 'shorten the recorded answer' },
    );
  signal?.throwIfAborted();
  const forced = await runTeacherForced(model, prompt, tokens, stages);
  await store.put(logitsKey(index), forced.logits);
  if (stages)
    for (const [phase, stage, tensor] of stagesOf(forced)) await store.put(stageKey(index, phase, stage), tensor);
  const text = recorded?.text ?? decode(tokens);
  const decoded = maskDecoder && quality.loadMasks ? await decodeAnswer(maskDecoder, text) : undefined;
  const answer = { tokens, text, positions: forced.logits.shape[1]!, ...(decoded && { decoded }) };
  if (!recorded?.tokens) return answer;
  const rows = answerRows(forced.logits, tokens, model.metadata.vocabSize);
  const chosen = rows.starts.map((_, row) => choose(rows, row).token);
  return { ...answer, recorded: compareAnswers(chosen, tokens, rows, tieMargin) };
}

async function ownAnswer(
  model: Model,
  quality: QualityCase,
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  const tokens: number[] = [];
  for await (const token of generateRow(model, await quality.load(), {
    maxNewTokens: MAX_NEW_TOKENS,
    ...(signal && { signal }),
  }))
    tokens.push(token);
  return tokens;
}

/** Every stage of a run. */
export function stagesOf({ stages }: TeacherForced): readonly (readonly [keyof CaseStages, string, Tensor])[] {
  return (Object.keys(stages) as (keyof CaseStages)[]).flatMap((phase) =>
    Object.entries(stages[phase]).map(([stage, tensor]) => [phase, stage, tensor] as const),
  );
}

/** The rows that choose the tokens of an answer. */
export function answerRows(logits: Tensor, answer: readonly number[], columns: number): Rows {
  const rows = rowsOf(logits, { columns });
  return { ...rows, starts: rows.starts.slice(rows.starts.length - answer.length) };
}

import type { Model } from '../../verify/decode.ts';
import type { StageNames } from '../../verify/divergence.ts';
import { generateRow } from '../../verify/generate.ts';
import type { Prompt } from '../../verify/prompt.ts';
import { rowsOf } from '../../verify/rows.ts';
import { DistributionTally, type DistributionMetrics } from './distribution_tally.ts';
import { compareAnswers, type GreedyVerdict } from './greedy_match.ts';
import { decodeAnswer, maskScores } from './mask_scores.ts';
import type { QualityCase } from './quality_cases.ts';
import { answerRows, logitsKey, stageKey, stagesOf, type ReferenceAnswer } from './record_reference.ts';
import type { Answer, TaskMetrics } from './report.ts';
import { nextTokens, runTeacherForced } from '../../verify/teacher_forced.ts';
import { StageTally, type StageNoise } from './stage_noise.ts';
import { TaskTally } from './task_tally.ts';
import type { TensorStore } from './tensor_store.ts';

/** Tokens that an answer may be longer than the reference's before it is cut: it differs by then. */
const EXTRA_TOKENS = 8;

export interface MeasureOptions {
  readonly cases: readonly QualityCase[];
  readonly answers: readonly ReferenceAnswer[];
  /** Logits of the reference, and stages for the first of the cases. */
  readonly store: TensorStore;
  readonly stages: StageNames;
  readonly stagedCases: number;
  readonly decode: (tokens: readonly number[]) => string;
  readonly tieMargin: (logit: number) => number;
  /** For a model that has none of its own, where masks are judged. */
  readonly maskDecoder?: Model | undefined;
  readonly onCase?: () => void;
  readonly signal?: AbortSignal | undefined;
}

/** What a model does on all cases, beside the reference. */
export interface Measurement extends DistributionMetrics {
  readonly greedy: Readonly<Record<GreedyVerdict, number>>;
  readonly tasks: TaskMetrics;
  readonly tokensPerSecond: number;
  readonly stages: readonly StageNoise[];
  readonly different: readonly Answer[];
}

/**
 * Runs a model on every case twice: reading the reference's answer, for distributions at every position, and giving its
 * own.
 * @throws what `signal` says, BackendError when the bundle does not run
 */
export async function measureBundle(model: Model, options: MeasureOptions): Promise<Measurement> {
  const { cases, answers, store, decode, tieMargin, onCase, signal } = options;
  const distribution = new DistributionTally(tieMargin);
  const stageTally = new StageTally(options.stages);
  const tasks = new TaskTally();
  const decoder = model.metadata.maskSize === undefined ? (options.maskDecoder ?? model) : model;
  const greedy: Record<GreedyVerdict, number> = { same: 0, tie: 0, different: 0 };
  const different: Answer[] = [];
  let [steps, seconds] = [0, 0];
  for (const [index, quality] of cases.entries()) {
    signal?.throwIfAborted();
    const { tokens, text, decoded } = answers[index]!;
    const prompt = await quality.load();
    const forced = await runTeacherForced(model, prompt, tokens, index < options.stagedCases ? options.stages : {});
    const expected = await store.get(logitsKey(index));
    const columns = model.metadata.vocabSize;
    distribution.add(rowsOf(forced.logits, { columns }), rowsOf(expected, { columns }), nextTokens(prompt, tokens));
    for (const [phase, stage, tensor] of stagesOf(forced)) {
      const key = stageKey(index, phase, stage);
      if (store.has(key)) stageTally.add(phase, stage, tensor, await store.get(key));
    }
    const own = await answerTimed(model, prompt, tokens.length + EXTRA_TOKENS, signal);
    steps += own.steps;
    seconds += own.seconds;
    const answer = decode(own.tokens);
    const { truth, recorded } = quality;
    const masks =
      decoded && quality.loadMasks
        ? maskScores(await decodeAnswer(decoder, answer), decoded, await quality.loadMasks())
        : undefined;
    tasks.add(answer, { reference: text, truth, masks });
    const verdict = compareAnswers(own.tokens, tokens, answerRows(expected, tokens, columns), tieMargin);
    greedy[verdict]++;
    if (verdict !== 'same' || answer !== text)
      different.push({
        case: quality.name,
        prompt: quality.prompt,
        reference: text,
        answer,
        verdict,
        ...(truth !== undefined && { truth }),
        ...(recorded?.minMargin !== undefined && { minMargin: recorded.minMargin }),
      });
    onCase?.();
  }
  return {
    ...distribution.metrics(),
    greedy,
    tasks: tasks.metrics(),
    tokensPerSecond: steps / seconds,
    stages: stageTally.noise(),
    different,
  };
}

/**
 * Greedy decoding with the time of its steps; the first token, which waits for picture and prompt, is not one of them.
 */
async function answerTimed(
  model: Model,
  prompt: Prompt,
  maxNewTokens: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly tokens: readonly number[]; readonly steps: number; readonly seconds: number }> {
  const tokens: number[] = [];
  let [begin, end] = [0, 0];
  for await (const token of generateRow(model, prompt, { maxNewTokens, ...(signal && { signal }) })) {
    end = performance.now();
    if (tokens.length === 0) begin = end;
    tokens.push(token);
  }
  return { tokens, steps: Math.max(0, tokens.length - 1), seconds: (end - begin) / 1000 };
}

import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { hasImages, type VerifyCase } from './cases.ts';
import {
  encodeImages,
  extend,
  planExtend,
  planPrefill,
  type DecoderState,
  type Model,
  type PlannedStep,
  type Step,
} from './decode.ts';
import { choose, type Choice } from './metrics.ts';
import { joinPositions, lastPositions, rowsOf } from './rows.ts';

/** Greedy choices of every row and step. */
export interface Greedy {
  /** The tokens that were read on: the model's own, or those it was told to follow. */
  readonly tokens: readonly (readonly number[])[];
  /** f32[B, steps, V]: those of step s choose token s. */
  readonly logits: Tensor;
  /** The model's own choice in each row and step, with its margin. */
  readonly choices: readonly (readonly Choice[])[];
}

/** Intermediate values by phase: the same stage is compared apart in the prompt and in the suffix. */
export interface CaseStages {
  readonly vision: Readonly<Record<string, Tensor>>;
  readonly prefill: Readonly<Record<string, Tensor>>;
  readonly suffix: Readonly<Record<string, Tensor>>;
}

/** What came of a case. A recording may lack parts: what it lacks is not compared. */
export interface Outcome {
  /** [images, P, D]; none without images. */
  readonly imageFeatures?: Tensor;
  /** [B, kept, V]: the last positions of the prompt. */
  readonly prefillLogits?: Tensor;
  /** [B, U, V]. */
  readonly suffixLogits?: Tensor;
  /** [B, T, E]: ColPali's vectors of the whole prompt, padding included. */
  readonly prefillEmbeddings?: Tensor;
  /** [B, U, E]. */
  readonly suffixEmbeddings?: Tensor;
  readonly greedy?: Greedy;
  readonly stages?: CaseStages;
}

export interface RunCaseOptions {
  /** Names of stages by graph. */
  readonly stages?: Readonly<Record<string, readonly string[]>>;
  /** Stages as another computed them, and who hears what parts make of them. */
  readonly given?: CaseStages;
  readonly onGiven?: (phase: keyof CaseStages, name: string, value: Tensor) => void;
  /** Tokens to read on instead of the model's own choices, so that every step is comparable. */
  readonly follow?: readonly (readonly number[])[];
}

/** Runs a case. @throws VerifyError when the case does not fit the model. */
export async function runCase(
  model: Model,
  verifyCase: VerifyCase,
  { stages = {}, follow, given, onGiven }: RunCaseOptions = {},
): Promise<Outcome> {
  const { suffixIds, maxNewTokens, logitsToKeep } = verifyCase;
  const partsOn = (phase: keyof CaseStages) => ({
    ...(given && { given: given[phase] }),
    ...(onGiven && { onGiven: (name: string, value: Tensor) => onGiven(phase, name, value) }),
  });
  const images = await encodeImages(model, verifyCase.pixelValues, {
    stages: stages['vision_encoder'] ?? [],
    ...partsOn('vision'),
  });
  const decoderStages = stages['decoder'] ?? [];
  const prompt = await planPrefill(model, verifyCase, images.features, {
    logitsToKeep,
    // tokens that are not known yet are read on it
    keepsCache: !follow && maxNewTokens > 0,
    stages: decoderStages,
    ...partsOn('prefill'),
  });
  // all that is known is planned before anything is waited for
  const forced = follow && maxNewTokens > 0 ? planForced(model, prompt, maxNewTokens, follow) : undefined;
  const suffix =
    suffixIds && suffixIds.shape[1]! > 0
      ? await planExtend(model, prompt.state, suffixIds, {
          keepsCache: false,
          stages: decoderStages,
          ...partsOn('suffix'),
        })
      : undefined;
  const steps = await forced;
  const read = await prompt.done;
  const behind = await suffix?.done;
  return {
    ...(hasImages(verifyCase) && { imageFeatures: images.features }),
    prefillLogits: read.logits,
    ...(read.embeddings && { prefillEmbeddings: read.embeddings }),
    ...(behind && { suffixLogits: behind.logits }),
    ...(behind?.embeddings && { suffixEmbeddings: behind.embeddings }),
    ...(maxNewTokens > 0 && {
      greedy: steps ? await readForced(model, read, steps, follow!) : await greedySteps(model, read, maxNewTokens),
    }),
    stages: { vision: images.stages, prefill: read.stages, suffix: behind?.stages ?? {} },
  };
}

/** Steps that read the given tokens, one by one, behind a prompt. */
async function planForced(
  model: Model,
  prompt: PlannedStep,
  steps: number,
  tokens: readonly (readonly number[])[],
): Promise<readonly PlannedStep[]> {
  const planned: PlannedStep[] = [];
  let { state } = prompt;
  for (let step = 0; step + 1 < steps; step++) {
    const ids = tensorOf(
      'i64',
      [tokens.length, 1],
      tokens.map((row) => row[step]!),
    );
    const next = await planExtend(model, state, ids, { logitsToKeep: 1, keepsCache: false });
    planned.push(next);
    ({ state } = next);
  }
  return planned;
}

async function readForced(
  model: Model,
  prompt: Step,
  steps: readonly PlannedStep[],
  tokens: readonly (readonly number[])[],
): Promise<Greedy> {
  const logits = [lastPositions(prompt.logits, 1)];
  for (const { done } of steps) logits.push((await done).logits);
  const choices = tokens.map((_, row) =>
    logits.map((each) => choose(rowsOf(each, { columns: model.metadata.vocabSize }), row)),
  );
  return { tokens: tokens.map((row) => row.slice(0, logits.length)), logits: joinPositions(logits), choices };
}

async function greedySteps(model: Model, prompt: Step, steps: number): Promise<Greedy> {
  const batch = prompt.logits.shape[0]!;
  const tokens = Array.from({ length: batch }, (): number[] => []);
  const choices = Array.from({ length: batch }, (): Choice[] => []);
  const logits: Tensor[] = [];
  let state: DecoderState = prompt.state;
  let next = lastPositions(prompt.logits, 1);
  for (let step = 0; step < steps; step++) {
    logits.push(next);
    const rows = rowsOf(next, { columns: model.metadata.vocabSize });
    for (let row = 0; row < batch; row++) {
      const choice = choose(rows, row);
      choices[row]!.push(choice);
      tokens[row]!.push(choice.token);
    }
    if (step + 1 === steps) break;
    const result = await extend(
      model,
      state,
      tensorOf(
        'i64',
        [batch, 1],
        tokens.map((row) => row[step]!),
      ),
      { logitsToKeep: 1 },
    );
    [state, next] = [result.state, result.logits];
  }
  return { tokens, logits: joinPositions(logits), choices };
}

import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { hasImages, type VerifyCase } from './cases.ts';
import { encodeImages, extend, prefill, type DecoderState, type Model, type Step } from './decode.ts';
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
  /** Tokens to read on instead of the model's own choices, so that every step is comparable. */
  readonly follow?: readonly (readonly number[])[];
}

/** Runs a case. @throws VerifyError when the case does not fit the model. */
export async function runCase(
  model: Model,
  verifyCase: VerifyCase,
  { stages = {}, follow }: RunCaseOptions = {},
): Promise<Outcome> {
  const { suffixIds, maxNewTokens, logitsToKeep } = verifyCase;
  const images = await encodeImages(model, verifyCase.pixelValues, stages['vision_encoder']);
  const decoderStages = stages['decoder'] ?? [];
  const prompt = await prefill(model, verifyCase, images.features, { logitsToKeep, stages: decoderStages });
  const suffix =
    suffixIds && suffixIds.shape[1]! > 0
      ? await extend(model, prompt.state, suffixIds, { stages: decoderStages })
      : undefined;
  return {
    ...(hasImages(verifyCase) && { imageFeatures: images.features }),
    prefillLogits: prompt.logits,
    ...(prompt.embeddings && { prefillEmbeddings: prompt.embeddings }),
    ...(suffix && { suffixLogits: suffix.logits }),
    ...(suffix?.embeddings && { suffixEmbeddings: suffix.embeddings }),
    ...(maxNewTokens > 0 && { greedy: await greedySteps(model, prompt, maxNewTokens, follow) }),
    stages: { vision: images.stages, prefill: prompt.stages, suffix: suffix?.stages ?? {} },
  };
}

async function greedySteps(
  model: Model,
  prompt: Step,
  steps: number,
  follow?: readonly (readonly number[])[],
): Promise<Greedy> {
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
      tokens[row]!.push(follow?.[row]?.[step] ?? choice.token);
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

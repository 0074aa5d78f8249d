import { stopTokens } from '../ir/metadata.ts';
import { tensorOf } from '../ir/tensor.ts';
import { untilStopped } from '../backends/client/generation/decode.ts';
import { wholeNumber } from '../backends/client/generation/numbers.ts';
import { ofNumbers } from '../backends/client/generation/of_numbers.ts';
import { encodeImages, extend, prefill, type Model, type Step } from './decode.ts';
import { choose } from './metrics.ts';
import { checkPrompt, type Prompt } from './prompt.ts';
import { rowsOf } from './rows.ts';

export interface GenerateOptions {
  readonly maxNewTokens: number;
  /** Ids that end a row; default the model's own, all of them. An empty list never stops. */
  readonly stopTokenIds?: readonly number[];
  /** Chooses a row's token from its logits [vocabulary]; default the likeliest, the first of equals. */
  readonly choose?: (row: number, logits: Float32Array) => number;
  /** Stops between tokens: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Decoding with a KV cache, greedily unless told otherwise. Yields, step by step, each row's token: stop tokens
 * included, undefined once a row has ended. Ends when all rows have, after maxNewTokens, or when the positions of the
 * model are used up.
 * @throws VerifyError for a prompt that does not fit the model; RuntimeError `bad_input` for a number of tokens that is
 * none, `not_a_number` where the model computes nothing else
 */
export async function* generate(
  model: Model,
  prompt: Prompt,
  { maxNewTokens, stopTokenIds: stops = stopTokens(model.metadata), choose, signal }: GenerateOptions,
): AsyncGenerator<readonly (number | undefined)[]> {
  const [rows, length] = prompt.inputIds.shape as readonly [number, number];
  signal?.throwIfAborted();
  wholeNumber('the number of new tokens', maxNewTokens);
  // before anything is encoded
  checkPrompt(prompt, model.metadata);
  const { features } = await encodeImages(model, prompt.pixelValues);
  const first = await prefill(model, prompt, features, { logitsToKeep: 1 });
  // the last token needs no position: nothing reads it
  const steps = Math.min(maxNewTokens, model.metadata.maxPositions - length + 1);
  yield* ofNumbers(untilStopped(stepsOf(model, first, choose), { rows, steps, stops, signal }), model.metadata);
}

/**
 * Tokens of all rows for ever, the size of the vocabulary for one that is all NaN. Rows that have ended go on: nothing
 * reads what comes of it.
 */
async function* stepsOf(
  model: Model,
  first: Step,
  chosen?: GenerateOptions['choose'],
): AsyncGenerator<readonly number[]> {
  const { vocabSize, padTokenId } = model.metadata;
  for (let step = first; ;) {
    const rows = rowsOf(step.logits, { columns: vocabSize });
    const tokens = rows.starts.map((start, row) => {
      if (chosen) return chosen(row, Float32Array.from(rows.data.subarray(start, start + vocabSize)));
      const { token, logit } = choose(rows, row);
      return Number.isNaN(logit) ? vocabSize : token;
    });
    yield tokens;
    const ids = tokens.map((token) => (token === vocabSize ? padTokenId : token));
    step = await extend(model, step.state, tensorOf('i64', [ids.length, 1], ids), { logitsToKeep: 1 });
  }
}

/** The tokens of a prompt of one row. */
export async function* generateRow(model: Model, prompt: Prompt, options: GenerateOptions): AsyncGenerator<number> {
  for await (const [token] of generate(model, prompt, options)) if (token !== undefined) yield token;
}

/** All tokens of every row. */
export async function generateAll(model: Model, prompt: Prompt, options: GenerateOptions): Promise<number[][]> {
  const rows = Array.from({ length: prompt.inputIds.shape[0]! }, (): number[] => []);
  for await (const tokens of generate(model, prompt, options))
    tokens.forEach((token, row) => token !== undefined && rows[row]!.push(token));
  return rows;
}

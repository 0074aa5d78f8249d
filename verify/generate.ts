import { tensorOf } from '../ir/tensor.ts';
import { encodeImages, extend, prefill, type Model } from './decode.ts';
import { choose } from './metrics.ts';
import type { Prompt } from './prompt.ts';
import { rowsOf } from './rows.ts';

export interface GenerateOptions {
  readonly maxNewTokens: number;
  /** Ids that end a row; default the model's own. An empty list never stops. */
  readonly stopTokenIds?: readonly number[];
  /** Stops between tokens: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Greedy decoding with a KV cache. Yields, step by step, each row's token: stop tokens included, undefined once a row
 * has ended. Ends when all rows have, after maxNewTokens, or when the positions of the model are used up.
 * @throws VerifyError for a prompt that does not fit the model.
 */
export async function* generate(
  model: Model,
  prompt: Prompt,
  options: GenerateOptions,
): AsyncGenerator<readonly (number | undefined)[]> {
  const { metadata } = model;
  const { maxNewTokens, stopTokenIds = [metadata.eosTokenId], signal } = options;
  const stop = new Set(stopTokenIds);
  const batch = prompt.inputIds.shape[0]!;
  const ended = Array<boolean>(batch).fill(false);
  const room = metadata.maxPositions - prompt.inputIds.shape[1]!;
  signal?.throwIfAborted();
  const { features } = await encodeImages(model, prompt.pixelValues);
  let step = await prefill(model, prompt, features, { logitsToKeep: 1 });
  for (let made = 0; made < maxNewTokens;) {
    signal?.throwIfAborted();
    const rows = rowsOf(step.logits, { columns: metadata.vocabSize });
    const tokens = ended.map((done, row) => (done ? undefined : choose(rows, row).token));
    yield tokens;
    tokens.forEach((token, row) => (ended[row] ||= token !== undefined && stop.has(token)));
    // Ended rows go on reading padding: nothing reads what comes of it, and the batch keeps one shape.
    if (++made === maxNewTokens || made > room || ended.every(Boolean)) return;
    step = await extend(
      model,
      step.state,
      tensorOf(
        'i64',
        [batch, 1],
        tokens.map((token) => token ?? metadata.padTokenId),
      ),
      { logitsToKeep: 1 },
    );
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

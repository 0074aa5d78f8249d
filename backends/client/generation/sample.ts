import type { Sampling } from './sampling.ts';

/** Logits after the prompt and the tokens so far, and what was read of each row. */
export interface SampledRows {
  readonly rows: number;
  /** Of a row. */
  readonly length: number;
  /** [rows, length], 0 for padding in the mask. */
  readonly inputIds: ArrayLike<number>;
  readonly attentionMask: ArrayLike<number>;
}

/** Draws tokens of rows from their logits, step by step; remembers what a penalty of repetition asks for. */
export class TokenSampler {
  readonly #sampling: Sampling;
  readonly #random: () => number;
  readonly #seen: readonly Set<number>[] | undefined;

  constructor(sampling: Sampling, prompt: SampledRows) {
    this.#sampling = sampling;
    this.#random = randomNumbers(sampling.seed);
    this.#seen = sampling.repetitionPenalty === 1 ? undefined : seenIn(prompt);
  }

  /** Whether the most likely token is taken as it is: a device may find that itself. */
  static isGreedy({ temperature, repetitionPenalty }: Sampling): boolean {
    return temperature === 0 && repetitionPenalty === 1;
  }

  /** The next token of a row; its number of columns where all of them are NaN. */
  next(row: number, logits: Float32Array): number {
    const seen = this.#seen?.[row];
    const token = sampleToken(
      seen ? penalized(logits, seen, this.#sampling.repetitionPenalty) : logits,
      this.#sampling,
      this.#random(),
    );
    seen?.add(token);
    return token;
  }
}

/** Ids of each row, without padding. */
export function seenIn({ rows, length, inputIds, attentionMask }: SampledRows): readonly Set<number>[] {
  return Array.from({ length: rows }, (_, row) => {
    const seen = new Set<number>();
    for (let i = row * length; i < (row + 1) * length; i++) if (attentionMask[i] !== 0) seen.add(inputIds[i]!);
    return seen;
  });
}

function penalized(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): Float32Array {
  const changed = logits.slice();
  for (const token of seen) {
    if (token >= changed.length) continue;
    const logit = changed[token]!;
    changed[token] = logit < 0 ? logit * penalty : logit / penalty;
  }
  return changed;
}

/** The most likely token, the first of equals; their number where all are NaN. */
export function firstOfBest(logits: Float32Array): number {
  let best = logits.length;
  for (let i = 0; i < logits.length; i++)
    if (!Number.isNaN(logits[i]!) && (best === logits.length || logits[i]! > logits[best]!)) best = i;
  return best;
}

/**
 * A token by its probability softmax(logits / temperature), within top-k, then top-p (nucleus sampling,
 * arXiv:1904.09751) and min-p of the most likely. NaN is never chosen; where all are, the token is their number.
 * @param uniform a random number in [0, 1)
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topK, topP, minP }: Omit<Sampling, 'seed' | 'repetitionPenalty'>,
  uniform: number,
): number {
  if (temperature === 0) return firstOfBest(logits);
  const order = Array.from(logits.keys())
    .filter((token) => !Number.isNaN(logits[token]!))
    .sort((a, b) => (logits[a] === logits[b] ? a - b : logits[b]! - logits[a]!));
  if (order.length === 0) return logits.length;
  const finite = (token: number) => Math.min(Math.max(logits[token]!, -1e30), 1e30);
  const most = finite(order[0]!);
  const kept = order.slice(0, topK > 0 ? topK : undefined);
  const weights = kept.map((token) => Math.exp((finite(token) - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let [count, sum] = [0, 0];
  // the most likely token weighs 1
  while (count < kept.length && sum < topP * total && weights[count]! >= minP) sum += weights[count++]!;
  let left = uniform * sum;
  for (let i = 0; i < count; i++) if ((left -= weights[i]!) < 0) return kept[i]!;
  return kept[Math.max(0, count - 1)]!;
}

/** Random numbers in [0, 1) that a seed decides (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

import type { Sampling } from '../../client/generation/sampling.ts';

/**
 * A token by its probability softmax(logits / temperature), within top-k and then top-p (nucleus sampling,
 * arXiv:1904.09751). NaN is never chosen; where all are, the token is their number.
 * @param uniform a random number in [0, 1)
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topK, topP }: Omit<Sampling, 'seed'>,
  uniform: number,
): number {
  const order = Array.from(logits.keys())
    .filter((token) => !Number.isNaN(logits[token]!))
    .sort((a, b) => (logits[a] === logits[b] ? a - b : logits[b]! - logits[a]!));
  if (order.length === 0) return logits.length;
  if (temperature === 0) return order[0]!;
  const finite = (token: number) => Math.min(Math.max(logits[token]!, -1e30), 1e30);
  const most = finite(order[0]!);
  const kept = order.slice(0, topK > 0 ? topK : undefined);
  const weights = kept.map((token) => Math.exp((finite(token) - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let [count, sum] = [0, 0];
  while (count < kept.length && sum < topP * total) sum += weights[count++]!;
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

import type { SamplingOptions } from '../../../client/generation/sampling.ts';

/** Tokens that top-k, top-p and min-p leave, by the definition. */
export function keptTokens(
  logits: readonly number[],
  { temperature = 1, topK = 0, topP = 1, minP = 0 }: SamplingOptions,
): number[] {
  const order = logits
    .map((_, token) => token)
    .filter((token) => !Number.isNaN(logits[token]!))
    .toSorted((a, b) => logits[b]! - logits[a]!);
  const byK =
    topK > 0 ? order.filter((token) => logits[token]! >= logits[order[Math.min(topK, order.length) - 1]!]!) : order;
  const weights = byK.map((token) => Math.exp((logits[token]! - logits[order[0]!]!) / temperature));
  const wanted = topP * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  const byP = topP >= 1 ? byK : byK.filter((_, i) => (sum += weights[i]!) - weights[i]! < wanted);
  return byP.filter((_, i) => weights[i]! >= minP);
}

/** The same numbers as the device's: pcg4d of seed, token, row and column. */
function random(seed: number, made: number, row: number, column: number): number {
  const v = [seed, made, row, column].map((x) => (Math.imul(x, 1664525) + 1013904223) >>> 0) as [
    number,
    number,
    number,
    number,
  ];
  const mix = () => {
    v[0] = (v[0] + Math.imul(v[1], v[3])) >>> 0;
    v[1] = (v[1] + Math.imul(v[2], v[0])) >>> 0;
    v[2] = (v[2] + Math.imul(v[0], v[1])) >>> 0;
    v[3] = (v[3] + Math.imul(v[1], v[2])) >>> 0;
  };
  mix();
  for (let i = 0; i < 4; i++) v[i] = (v[i]! ^ (v[i]! >>> 16)) >>> 0;
  mix();
  return (v[0] + 0.5) / 2 ** 32;
}

/** The token that a row gets as its `made`th, in double precision. */
export function sampledToken(
  logits: readonly number[],
  { temperature = 0, seed = 0, ...rest }: SamplingOptions,
  made: number,
  row: number,
): number {
  if (temperature === 0) return logits.indexOf(Math.max(...logits));
  const score = (token: number) =>
    logits[token]! / temperature - Math.log(-Math.log1p(-random(seed, made, row, token)));
  return keptTokens(logits, { temperature, ...rest }).reduce((best, token) =>
    score(token) > score(best) ? token : best,
  );
}

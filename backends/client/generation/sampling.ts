import { demand, wholeNumber } from './numbers.ts';

/** How the next token is chosen from logits; all default to the most likely one. */
export interface SamplingOptions {
  /** 0 (default) takes the most likely token, the first of equals. */
  readonly temperature?: number;
  /** Tokens that may be taken; 0 (default) for all. */
  readonly topK?: number;
  /** Probability that the tokens which may be taken have together, of those that top-k leaves; default 1. */
  readonly topP?: number;
  /** Of the most likely token's probability, what a token must have to be taken (arXiv:2407.01082); default 0. */
  readonly minP?: number;
  /**
   * What logits of tokens are divided by (multiplied where negative) that the prompt or the answer has already, before
   * all else, also at temperature 0 (arXiv:1909.05858, as transformers does); default 1.
   */
  readonly repetitionPenalty?: number;
  /**
   * Of the random numbers, modulo 2^32: equal seeds give equal tokens, in one runtime and on one device. Default 0.
   */
  readonly seed?: number;
}

/** The same, checked, with nothing left out: temperature 0 is greedy; 0, 1, 0 and 1 take all as they are. */
export type Sampling = Required<SamplingOptions>;

/** Names of the options. */
export const SAMPLING_OPTIONS = ['temperature', 'topK', 'topP', 'minP', 'repetitionPenalty', 'seed'] as const;

/**
 * Below it all probability is the most likely token's: logits of f32 that differ, do so by more. What divides by a
 * temperature in f32 would overflow far below it.
 */
const LEAST_TEMPERATURE = 1e-6;

/** Beyond it a logit is no longer ordered by its own size: what a penalty multiplies stays finite in f32. */
const MOST_PENALTY = 1e6;

/** @throws RuntimeError `bad_input` for options that mean nothing */
export function samplingOf(options: SamplingOptions): Sampling {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0 } = options;
  demand(temperature >= 0 && Number.isFinite(temperature), `a temperature of ${temperature}`, '0 or more, and finite');
  demand(Number.isFinite(topP) && topP > 0 && topP <= 1, `top-p of ${topP}`, 'more than 0, up to 1');
  demand(Number.isFinite(minP) && minP >= 0 && minP <= 1, `min-p of ${minP}`, '0 to 1');
  demand(
    Number.isFinite(repetitionPenalty) && repetitionPenalty > 0 && repetitionPenalty <= MOST_PENALTY,
    `a repetition penalty of ${repetitionPenalty}`,
    `more than 0, up to ${MOST_PENALTY}`,
  );
  demand(Number.isSafeInteger(seed), `a seed of ${seed}`, 'a whole number');
  return {
    temperature: temperature < LEAST_TEMPERATURE ? 0 : temperature,
    topK: wholeNumber('top-k', topK),
    topP,
    minP,
    repetitionPenalty,
    seed: seed >>> 0,
  };
}

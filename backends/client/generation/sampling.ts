import { demand, wholeNumber } from './numbers.ts';

/** How the next token is chosen from logits; all default to the most likely one. */
export interface SamplingOptions {
  /** 0 (default) takes the most likely token, the first of equals. */
  readonly temperature?: number;
  /** Tokens that may be taken; 0 (default) for all. */
  readonly topK?: number;
  /** Probability that the tokens which may be taken have together, of those that top-k leaves; default 1. */
  readonly topP?: number;
  /**
   * Of the random numbers, modulo 2^32: equal seeds give equal tokens, in one runtime and on one device. Default 0.
   */
  readonly seed?: number;
}

/** The same, checked, with nothing left out: temperature 0 is greedy, top-k 0 and top-p 1 take all. */
export type Sampling = Required<SamplingOptions>;

/**
 * Below it all probability is the most likely token's: logits of f32 that differ, do so by more. What divides by a
 * temperature in f32 would overflow far below it.
 */
const LEAST_TEMPERATURE = 1e-6;

/** @throws RuntimeError `bad_input` for options that mean nothing */
export function samplingOf({ temperature = 0, topK = 0, topP = 1, seed = 0 }: SamplingOptions): Sampling {
  demand(temperature >= 0 && Number.isFinite(temperature), `a temperature of ${temperature}`, '0 or more, and finite');
  demand(topP > 0 && topP <= 1, `top-p of ${topP}`, 'more than 0, up to 1');
  demand(Number.isSafeInteger(seed), `a seed of ${seed}`, 'a whole number');
  return {
    temperature: temperature < LEAST_TEMPERATURE ? 0 : temperature,
    topK: wholeNumber('top-k', topK),
    topP,
    seed: seed >>> 0,
  };
}

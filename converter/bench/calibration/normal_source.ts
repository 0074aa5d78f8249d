import { randomSource } from '../../../ir/random_source.ts';

/** Standard normal numbers that a seed decides, by Box and Muller's transform. */
export function normalSource(seed: number): () => number {
  const next = randomSource(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

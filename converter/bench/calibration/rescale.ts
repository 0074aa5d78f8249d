import type { HeldCheckpoint } from './held_checkpoint.ts';
import { withScaledChannels } from './invariances.ts';
import { normalSource } from './normal_source.ts';

/** The same function with channels of very different sizes, as big models have them: each times a log-normal number. */
export function rescaled(held: HeldCheckpoint, { sigma, seed }: { sigma: number; seed: number }): HeldCheckpoint {
  const normal = normalSource(seed);
  return withScaledChannels(held, (channels) => Array.from({ length: channels }, () => Math.exp(sigma * normal())));
}

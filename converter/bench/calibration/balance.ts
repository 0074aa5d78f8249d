import type { HeldCheckpoint } from './held_checkpoint.ts';
import { withScaledChannels } from './invariances.ts';

/** Keeps a channel that a norm all but closes from being divided by nothing. */
const LEAST_GAIN = 1e-3;

/**
 * The same function with columns that codes take better, without data: of each channel the root of its readers' size
 * (the root of the sum of squares of their columns) over the root of the norm's gain goes from the readers to what
 * makes it. Between making columns equal (cross-layer equalization, arXiv:1906.04721) and moving gains into them, by
 * which AWQ (arXiv:2306.00978) is guided with activations in the gains' place. Channels keep their mean size.
 */
export function balanced(held: HeldCheckpoint): HeldCheckpoint {
  return withScaledChannels(held, ({ count, gains, readers }) => {
    const squares = new Float64Array(count);
    for (const { data } of readers) for (const [i, x] of data.entries()) squares[i % count]! += x ** 2;
    const logs = Array.from(
      squares,
      (sum, i) => (Math.log(sum || 1) / 2 - Math.log(Math.max(Math.abs(gains?.[i] ?? 1), LEAST_GAIN))) / 2,
    );
    const mean = logs.reduce((total, x) => total + x, 0) / count;
    return logs.map((x) => Math.exp(x - mean));
  });
}

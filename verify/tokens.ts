import type { VerifyCase } from './cases.ts';

/** For the last `kept` prompt positions of every row: whether they are tokens, not padding. */
export function keptTokens({ attentionMask: { shape, data } }: VerifyCase, kept: number): boolean[] {
  const [batch, length] = shape as readonly [number, number];
  return Array.from({ length: batch }, (_, b) =>
    Array.from(data.subarray((b + 1) * length - kept, (b + 1) * length), (m) => m !== 0),
  ).flat();
}

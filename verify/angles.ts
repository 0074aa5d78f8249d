import type { VerifyCase } from './cases.ts';
import type { Bound, Tolerances } from './tolerances.ts';

const REASON =
  'the original computes angles of rotary embeddings in f32, and so do exports of it: at position p they are off by up to p·2⁻²⁴ rad';

/**
 * Bounds for one case. Where its positions are high and a candidate may compute angles as the original does, results
 * may be off by as much as these are in f32: an angle near p rad is rounded by up to p·2⁻²⁴, and the rows of a
 * rotation change by no more. The reference has its angles in f64.
 */
export function boundsOfCase(
  { anglesInF32 = false, firstPosition = 1, inputIds, suffixIds, maxNewTokens }: VerifyCase,
  tolerances: Tolerances,
): Tolerances {
  if (!anglesInF32) return tolerances;
  const behind = Math.max(suffixIds?.shape[1] ?? 0, maxNewTokens);
  const share = (firstPosition + inputIds.shape[1]! + behind) * 2 ** -24;
  const wider = (bound: Bound): Bound => {
    if (bound.metric === 'relativeL2' && bound.atMost! < share) return { ...bound, atMost: share, reason: REASON };
    if (bound.metric !== 'maxAbs' || bound.ofLargest === undefined || bound.ofLargest >= share) return bound;
    return { ...bound, ofLargest: share, reason: REASON };
  };
  const { logits, stage } = tolerances;
  return { ...tolerances, logits: logits.map(wider), stage: wider(stage) };
}

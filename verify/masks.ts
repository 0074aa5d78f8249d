import type { Runner } from '../backends/backend.ts';
import { CODEBOOK, MASK_CODES } from '../backends/client/answers/codes.ts';
import { randomSource } from '../ir/random_source.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { callsOf } from './calls.ts';
import { checkOf, checkValues, type Check } from './check.ts';
import type { StageDifference } from './divergence.ts';
import type { Divergence } from './locate.ts';
import { batchMember } from './rows.ts';
import type { Bound, Tolerances } from './tolerances.ts';

/** The graph that makes masks of codes, and the name of the case that is asked of it. */
export const MASK_GRAPH = 'mask_decoder';
export const MASK_CASE = 'masks of every code';

/** A decoder that holds NaN computes it on both sides, and that is equal. */
const NUMBERS: Bound = {
  metric: 'nonFinite',
  atMost: 0,
  reason: 'a mask that is no number says nothing, also where the decoder’s own weights are none',
};

/** Values that are no numbers; of nothing NaN, which fails. */
function brokenIn(masks: Tensor | undefined): number {
  return masks ? Array.from(masks.data).filter((value) => !Number.isFinite(value)).length : Number.NaN;
}

/** i32[8, 16]: every code once, in an order that is the same for the same seed. */
export function maskCodes(seed = 1): Tensor {
  const random = randomSource(seed);
  const codes = Array.from({ length: CODEBOOK }, (_, code) => code);
  for (let i = codes.length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [codes[i], codes[other]] = [codes[other]!, codes[i]!];
  }
  return tensorOf('i32', [CODEBOOK / MASK_CODES, MASK_CODES], codes);
}

/**
 * Holds what a bundle makes of every code against the reference, and a mask that is decoded alone against the same in a
 * batch. Where they differ, every stage of the graph is compared.
 */
export async function checkMasks(
  candidate: Runner,
  reference: Runner,
  { masks: bounds, stage: bound }: Tolerances,
  stages: readonly string[] = [],
): Promise<{ readonly checks: readonly Check[]; readonly divergence?: Divergence }> {
  const codes = maskCodes();
  const run = (runner: Runner, given: Tensor, names: readonly string[] = []) =>
    callsOf(runner).plan(MASK_GRAPH, { codes: given }, { stages: names }).results;
  const [ours, theirs, alone] = await Promise.all([
    run(candidate, codes),
    run(reference, codes),
    run(candidate, batchMember(codes, 0)),
  ]);
  const compared = checkValues({ case: MASK_CASE, output: 'masks' }, ours['masks'], theirs['masks']!, bounds);
  const checks = [
    compared,
    checkOf({ case: MASK_CASE, output: 'masks are numbers' }, { nonFinite: brokenIn(ours['masks']) }, [NUMBERS]),
    ...(ours['masks']
      ? [
          checkValues(
            { case: MASK_CASE, output: 'a mask alone = in a batch' },
            alone['masks'],
            batchMember(ours['masks'], 0),
            bounds,
          ),
        ]
      : []),
  ];
  if (compared.passed) return { checks };
  const [own, expected] = await Promise.all([run(candidate, codes, stages), run(reference, codes, stages)]);
  const grown = stages.flatMap((stage): StageDifference[] => {
    const [a, b] = [own[stage], expected[stage]];
    if (!a || !b) return [];
    const { metrics, passed, at } = checkValues({ case: MASK_CASE, output: stage }, a, b, [bound]);
    return [
      {
        phase: 'masks',
        stage,
        relativeL2: metrics.relativeL2 ?? Number.NaN,
        maxAbs: metrics.maxAbs ?? Number.NaN,
        passed,
        ...(at && { at }),
      },
    ];
  });
  const first = grown.find(({ passed }) => !passed);
  return {
    checks,
    divergence: {
      case: MASK_CASE,
      phase: 'masks',
      stage: first?.stage ?? 'masks',
      metric: 'relativeL2',
      value: first?.relativeL2 ?? compared.metrics.relativeL2 ?? Number.NaN,
      limit: bound.atMost ?? Infinity,
      stages: grown,
    },
  };
}

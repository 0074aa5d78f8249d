import type { ProgramMetadata } from '../ir/graph.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { checkOf, checkValues, type Check } from './check.ts';
import type { CaseStages, Outcome } from './run_case.ts';
import { keptTokens } from './tokens.ts';
import type { Bound } from './tolerances.ts';

type Phase = keyof CaseStages;

/** The name of the comparison of parts. */
export const PARTS_OUTPUT = 'each part on the reference';

/**
 * Relative L2 that a part of a bundle may have where all layers together may have that of `stage`. Each layer adds to
 * the residual stream, whose square grows with their number: of n layers the i-th one's error is diluted to √(i / n) of
 * itself at the end. Independent errors add up as squares, Σ i / n = (n + 1) / 2 of them, so the whole errs
 * √((n + 1) / 2) times as much as a layer. Measured on synth's 3B, 18 layers: 2.1e-4 a part and 5e-4 to 8e-4 in all by
 * f16 (6.5e-4 by this rule), 2.3e-6 and 9e-6 by f32 (7.1e-6).
 */
export function partBound({ metric, atMost }: Bound, { layers }: Pick<ProgramMetadata, 'layers'>): Bound {
  return {
    metric,
    atMost: atMost! * Math.sqrt(2 / (layers + 1)),
    reason: `what all ${layers} layers may err by, times √(2 / (layers + 1)): a layer’s errors are diluted by later ones and add up as squares`,
  };
}

/**
 * A bundle that runs in parts, each part also on what the reference gave it: errors do not add up over parts, so that
 * one within a layer stands out against rounding.
 */
export class PartsTally {
  readonly #verifyCase: VerifyCase;
  readonly #reference: Outcome;
  readonly #bound: Bound;
  readonly #found: { readonly place: string; readonly relativeL2: number; readonly nonFinite: number }[] = [];

  /** @param bound see `partBound` */
  constructor(verifyCase: VerifyCase, reference: Outcome, bound: Bound) {
    this.#verifyCase = verifyCase;
    this.#reference = reference;
    this.#bound = bound;
  }

  /** What a part made of the reference's value of the stage before: a stage, or an output of the graph. */
  readonly add = (phase: Phase, name: string, value: Tensor): void => {
    const expected = this.#expected(phase, name);
    if (!expected) return;
    const valid = phase === 'prefill' ? { valid: keptTokens(this.#verifyCase, expected.shape[1]!) } : {};
    const place = `${phase} ${name}`;
    const { metrics } = checkValues({ case: '', output: '' }, value, expected, [], valid);
    const { relativeL2 = Number.NaN, nonFinite = 0 } = metrics;
    this.#found.push({ place, relativeL2, nonFinite });
  };

  /** The verdict on all parts; undefined where none began with a stage. */
  check(): Check | undefined {
    if (this.#found.length === 0) return undefined;
    const worst = this.#found.reduce((a, b) => (b.relativeL2 > a.relativeL2 || Number.isNaN(b.relativeL2) ? b : a));
    const limit = this.#bound.atMost ?? Infinity;
    const first = this.#found.find(({ relativeL2 }) => !(relativeL2 <= limit));
    const named = first ? `first at ${first.place}` : `most at ${worst.place}`;
    return checkOf(
      { case: this.#verifyCase.name, output: PARTS_OUTPUT },
      {
        relativeL2: worst.relativeL2,
        nonFinite: this.#found.reduce((sum, { nonFinite }) => sum + nonFinite, 0),
      },
      [this.#bound, { metric: 'nonFinite', atMost: 0, reason: 'as for outputs' }],
      { note: `${this.#found.length} values of parts, ${named}` },
    );
  }

  #expected(phase: Phase, name: string): Tensor | undefined {
    const { stages, imageFeatures, prefillLogits, suffixLogits } = this.#reference;
    if (name === 'logits') return phase === 'prefill' ? prefillLogits : suffixLogits;
    if (name === 'image_features') return imageFeatures;
    return stages?.[phase][name];
  }
}

/**
 * What of a run in parts was not compared on what the reference gave, in the words of reports; nothing where all was.
 * @param cases whether a part was compared, of each case that could be
 * @param hasStages whether the reference gave stages
 */
export function partsUncompared(
  cases: readonly boolean[],
  hasStages: boolean,
  hasReference: boolean,
): { readonly partsUncompared?: string } {
  const compared = cases.filter(Boolean).length;
  if (compared > 0 && compared === cases.length) return {};
  const why = !hasReference
    ? 'there is no reference that has its codes'
    : hasStages
      ? 'with this memory none begins where a layer ends'
      : 'the reference has no stages';
  return {
    partsUncompared:
      compared === 0
        ? `no part was compared on what the reference gave: ${why}`
        : `no part was compared on what the reference gave in ${cases.length - compared} of ${cases.length} cases: ${why}`,
  };
}

import { formats, type FormatName } from '../../ir/formats/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { CaseStages } from '../../verify/run_case.ts';
import type { StageNames } from '../../verify/divergence.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { TOLERANCES } from '../../verify/tolerances.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { formatFor } from '../precision/precision.ts';

/** Phases in the order in which values flow, with the graph that each runs. */
const PHASES = [
  ['vision', 'vision_encoder'],
  ['prefill', 'decoder'],
  ['suffix', 'decoder'],
] as const satisfies readonly (readonly [keyof CaseStages, string])[];

/** How loud the error of one stage is. */
export interface StageNoise {
  /** `suffix` is the answer: read with a cache. */
  readonly phase: keyof CaseStages;
  readonly stage: string;
  /**
   * 10 · log10(Σ reference² / Σ (candidate - reference)²): Infinity for no error, -Infinity for values that are not
   * finite.
   */
  readonly snr: number;
  readonly cosine: number;
}

interface Sums {
  reference: number;
  candidate: number;
  error: number;
  dot: number;
}

/** Sums up stages of several cases; of each stage it keeps four numbers. */
export class StageTally {
  readonly #names: StageNames;
  readonly #sums = new Map<string, Sums>();

  constructor(names: StageNames) {
    this.#names = names;
  }

  add(phase: keyof CaseStages, stage: string, candidate: Tensor, reference: Tensor): void {
    if (candidate.data.length !== reference.data.length)
      throw new RangeError(`stage ${stage}: [${candidate.shape.join(', ')}] against [${reference.shape.join(', ')}]`);
    const key = `${phase} ${stage}`;
    const sums = this.#sums.get(key) ?? { reference: 0, candidate: 0, error: 0, dot: 0 };
    this.#sums.set(key, sums);
    for (let i = 0; i < reference.data.length; i++) {
      const [x, y] = [candidate.data[i]!, reference.data[i]!];
      sums.candidate += x * x;
      sums.reference += y * y;
      sums.error += (x - y) ** 2;
      sums.dot += x * y;
    }
  }

  /** In the order in which values flow. */
  noise(): StageNoise[] {
    return PHASES.flatMap(([phase, graph]) =>
      (this.#names[graph] ?? []).flatMap((stage) => {
        const sums = this.#sums.get(`${phase} ${stage}`);
        return sums
          ? [{ phase, stage, snr: snrOf(sums), cosine: sums.dot / Math.sqrt(sums.candidate * sums.reference) }]
          : [];
      }),
    );
  }
}

function snrOf({ reference, error }: Sums): number {
  if (!Number.isFinite(error)) return -Infinity;
  return error === 0 ? Infinity : 10 * Math.log10(reference / error);
}

/**
 * Weight SNR in dB of heavy-tailed weights (Student t with 5 degrees of freedom) in a format's blocks: the table of
 * docs/precision-targets.md, and for nf4 what ir/quantize/quality.test.ts finds.
 */
const WEIGHT_SNR: Readonly<Record<FormatName, number>> = { int8: 43.4, int4: 21.9, nf4: 19.6 };
/** Independent noises of sixteen products add up to 10 · log10(16) = 12 dB more than one has. */
const HEADROOM_DB = 12;

/** The SNR in dB below which a stage counts as diverging, and why. */
export function stageLimit(
  precision: Precision,
  metadata: ProgramMetadata,
): { readonly snr: number; readonly reason: string } {
  const format = formatFor(precision);
  if (format)
    return {
      snr: WEIGHT_SNR[format] - HEADROOM_DB,
      reason: `weights in blocks of ${formats[format].bits} bits have ${WEIGHT_SNR[format]} dB; sixteen noises as loud as that, added up, have ${HEADROOM_DB} dB less`,
    };
  const { atMost = Infinity, reason } = TOLERANCES[precision](metadata).stage;
  return { snr: -20 * Math.log10(atMost), reason: `relative L2 of ${atMost}, the bound of verification: ${reason}` };
}

/**
 * A stage this far above the limit has lost nothing yet, and what falls from there is the first loss, not the worst.
 */
const LOSSLESS_DB = 30;

/**
 * The first stage below the limit, and the one at which the SNR falls the most within its phase, of those that had lost
 * something before.
 */
export function worstStages(
  noise: readonly StageNoise[],
  limit: number,
): { readonly firstDiverging?: StageNoise; readonly steepest?: StageNoise & { readonly drop: number } } {
  const firstDiverging = noise.find(({ snr }) => !(snr >= limit));
  const drops = noise.flatMap((stage, i) => {
    const before = noise[i - 1];
    return before?.phase === stage.phase && before.snr < limit + LOSSLESS_DB
      ? [{ ...stage, drop: before.snr - stage.snr }]
      : [];
  });
  const steepest = drops.toSorted((a, b) => b.drop - a.drop)[0];
  return { ...(firstDiverging && { firstDiverging }), ...(steepest && steepest.drop > 0 && { steepest }) };
}

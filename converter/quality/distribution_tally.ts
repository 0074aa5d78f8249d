import { compareRows, difference, pooledAgreement, type RowAgreements } from '../../verify/metrics.ts';
import type { Rows } from '../../verify/rows.ts';

/** How far a candidate's next-token distributions are from the reference's, over every position that was added. */
export interface DistributionMetrics {
  readonly positions: number;
  /**
   * Kullback–Leibler divergence in nats, with the reference's probabilities in front: mean, 99th percentile (nearest
   * rank), largest.
   */
  readonly meanKld: number;
  /** Standard error of the mean, as if positions were independent: differences within it say nothing. */
  readonly meanKldError: number;
  readonly kld99: number;
  readonly maxKld: number;
  /** Share of positions with the reference's most likely token. */
  readonly sameTop1: number;
  /** The same where a token counts too that the reference rates within the tie margin of its best. */
  readonly sameTop1OffTies: number;
  /**
   * Root mean square of what the probability of the next token changes by, as llama.cpp's `--kl-divergence` has it: of
   * the token that stands there, in the prompt or in the reference's answer.
   */
  readonly rmsDeltaP: number;
  /** Largest difference of a logit. */
  readonly maxAbsLogit: number;
  /** Logits that are not finite where the reference's are. */
  readonly nonFinite: number;
}

/** Sums up positions as they come; of each it keeps one number. */
export class DistributionTally {
  readonly #tieMargin: (logit: number) => number;
  readonly #parts: RowAgreements[] = [];
  #maxAbs = 0;
  #nonFinite = 0;
  #squares = 0;
  #followed = 0;

  /** `tieMargin` gets the reference's best logit, and says which lead over another token is none. */
  constructor(tieMargin: (logit: number) => number) {
    this.#tieMargin = tieMargin;
  }

  /**
   * Adds rows of logits; `next` has for each row the token that follows, undefined where none does.
   * @throws RangeError when rows do not pair up.
   */
  add(candidate: Rows, reference: Rows, next: readonly (number | undefined)[]): void {
    const { maxAbs, nonFinite } = difference(candidate, reference);
    this.#maxAbs = Math.max(this.#maxAbs, maxAbs);
    this.#nonFinite += nonFinite;
    this.#parts.push(compareRows(candidate, reference, this.#tieMargin));
    for (const [row, token] of next.entries()) {
      if (token === undefined) continue;
      const change = probabilityOf(candidate, row, token) - probabilityOf(reference, row, token);
      this.#squares += change * change;
      this.#followed++;
    }
  }

  /** `rmsDeltaP` is NaN when no token followed any position. */
  metrics(): DistributionMetrics {
    const { meanKld, meanKldError, kld99, maxKld, sameTop1, ties, rows } = pooledAgreement(this.#parts);
    return {
      positions: rows,
      meanKld,
      meanKldError,
      kld99,
      maxKld,
      sameTop1: rows === 0 ? 1 : sameTop1 - ties / rows,
      sameTop1OffTies: sameTop1,
      rmsDeltaP: Math.sqrt(this.#squares / this.#followed),
      maxAbsLogit: this.#maxAbs,
      nonFinite: this.#nonFinite,
    };
  }
}

/** Softmax of one element of a row, in float64. */
function probabilityOf({ data, starts, columns }: Rows, row: number, token: number): number {
  const start = starts[row]!;
  let top = -Infinity;
  for (let c = 0; c < columns; c++) top = Math.max(top, data[start + c]!);
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += Math.exp(data[start + c]! - top);
  return Math.exp(data[start + token]! - top) / sum;
}

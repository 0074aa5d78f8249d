import { bestOverlaps } from './box_overlap.ts';
import type { MaskScores } from './mask_scores.ts';
import type { TaskMetrics } from './report.ts';

/** What an answer is held against. */
export interface Expected {
  readonly reference: string;
  readonly truth?: string | undefined;
  /** How its masks fit, where it is known. */
  readonly masks?: MaskScores | undefined;
}

/** Sums up answers beside the original's and beside what is right. */
export class TaskTally {
  #count = 0;
  #same = 0;
  #judged = 0;
  #right = 0;
  readonly #overlaps: number[] = [];
  readonly #overlapsTruth: number[] = [];
  readonly #masks: MaskScores[] = [];

  add(answer: string, { reference, truth, masks }: Expected): void {
    this.#count++;
    if (answer === reference) this.#same++;
    this.#overlaps.push(...bestOverlaps(answer, reference));
    if (masks) this.#masks.push(masks);
    if (truth === undefined) return;
    this.#overlapsTruth.push(...bestOverlaps(answer, truth));
    // masks of other codes fit as well: they are judged by how they fit, not by the letters of 16 codes
    if (masks) return;
    this.#judged++;
    if (answer === truth) this.#right++;
  }

  metrics(): TaskMetrics {
    return {
      sameText: this.#same / this.#count,
      ...(this.#judged > 0 && { judged: this.#judged, right: this.#right }),
      ...(this.#overlaps.length > 0 && { boxIou: mean(this.#overlaps) }),
      ...(this.#overlapsTruth.length > 0 && { boxIouTruth: mean(this.#overlapsTruth) }),
      ...(this.#masks.length > 0 && {
        maskIou: mean(this.#masks.map(({ original }) => original)),
        maskIouTruth: mean(this.#masks.map(({ truth }) => truth)),
      }),
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

import { bestOverlaps } from './box_overlap.ts';
import type { TaskMetrics } from './report.ts';

/** Sums up answers beside the original's and beside what is right. */
export class TaskTally {
  #count = 0;
  #same = 0;
  #judged = 0;
  #right = 0;
  readonly #overlaps: number[] = [];
  readonly #overlapsTruth: number[] = [];

  add(answer: string, { reference, truth }: { readonly reference: string; readonly truth?: string | undefined }): void {
    this.#count++;
    if (answer === reference) this.#same++;
    this.#overlaps.push(...bestOverlaps(answer, reference));
    if (truth === undefined) return;
    this.#judged++;
    if (answer === truth) this.#right++;
    this.#overlapsTruth.push(...bestOverlaps(answer, truth));
  }

  metrics(): TaskMetrics {
    return {
      sameText: this.#same / this.#count,
      ...(this.#judged > 0 && { judged: this.#judged, right: this.#right }),
      ...(this.#overlaps.length > 0 && { boxIou: mean(this.#overlaps) }),
      ...(this.#overlapsTruth.length > 0 && { boxIouTruth: mean(this.#overlapsTruth) }),
    };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

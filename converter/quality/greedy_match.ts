import { compareChoices, type Choice } from '../../verify/metrics.ts';
import type { Rows } from '../../verify/rows.ts';

/** What came of greedy decoding beside the reference's tokens: the same; another way from a tie on; another way. */
export type GreedyVerdict = 'same' | 'tie' | 'different';

/**
 * Compares what a candidate generated with the reference's answer. `rows` are the reference's logits of the answer's
 * positions: row i chose token i. Where the two part, it is a tie if the reference rates the candidate's token within
 * the margin of its best; what comes after that answers another text and is not compared.
 */
export function compareAnswers(
  candidate: readonly number[],
  reference: readonly number[],
  rows: Rows,
  tieMargin: (logit: number) => number,
): GreedyVerdict {
  for (let step = 0; step < reference.length; step++) {
    const token = candidate[step];
    if (token === reference[step]) continue;
    if (token === undefined) return 'different'; // it stopped early, without the end token
    const chosen: Choice = { token, logit: 0, margin: 0 };
    return compareChoices(chosen, rows, step, tieMargin) === 'different' ? 'different' : 'tie';
  }
  return candidate.length === reference.length ? 'same' : 'different';
}

import { checkOf, tieMarginFor, type Check } from './check.ts';
import { compareChoices } from './metrics.ts';
import { rowsOf } from './rows.ts';
import type { Greedy } from './run_case.ts';
import type { Tolerances } from './tolerances.ts';

/**
 * A step at which the candidate would have taken another token. Later steps stay comparable: it reads on what the
 * reference said.
 */
export interface GreedyDifference {
  readonly case: string;
  readonly row: number;
  readonly step: number;
  readonly candidate: number;
  readonly reference: number;
  /** What the reference's best logit leads the candidate's token by. */
  readonly lead: number;
  /** Within the tie margin: listed, not failed. */
  readonly tie: boolean;
}

/** Compares greedy choices step by step; a choice may differ only within the tie margin. */
export function checkGreedy(
  name: string,
  candidate: Greedy,
  reference: Greedy,
  vocabSize: number,
  tolerances: Pick<Tolerances, 'logits' | 'tieMargin'>,
): { check: Check; differences: GreedyDifference[] } {
  const rows = rowsOf(reference.logits, { columns: vocabSize });
  const tieMargin = tieMarginFor(tolerances, rows);
  const steps = reference.logits.shape[1]!;
  const differences: GreedyDifference[] = [];
  reference.choices.forEach((choices, row) =>
    choices.forEach((best, step) => {
      const chosen = candidate.choices[row]![step]!;
      const verdict = compareChoices(chosen, rows, row * steps + step, tieMargin);
      if (verdict === 'same') return;
      const lead = best.logit - reference.logits.data[rows.starts[row * steps + step]! + chosen.token]!;
      differences.push({
        case: name,
        row,
        step,
        candidate: chosen.token,
        reference: best.token,
        lead,
        tie: verdict === 'tie',
      });
    }),
  );
  const total = reference.choices.length * steps;
  const wrong = differences.filter(({ tie }) => !tie).length;
  const bounds = [{ metric: 'sameTop1', atLeast: 1, reason: 'greedy decoding must say the same, off ties' }] as const;
  const first = differences.find(({ tie }) => !tie);
  const check = checkOf(
    { case: name, output: 'greedy tokens' },
    { sameTop1: total === 0 ? 1 : 1 - wrong / total },
    bounds,
    {
      ...(first && { at: [first.row, first.step] }),
      ...(differences.length > 0 && {
        note: `${wrong} of ${total} tokens differ, ${differences.length - wrong} more within the tie margin`,
      }),
    },
  );
  return { check, differences };
}

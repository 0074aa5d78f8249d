import type { ProgramMetadata } from '../ir/graph.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { checkOf, type Check } from './check.ts';
import { VerifyError } from './error.ts';
import { compareRows, difference, pooledAgreement, type RowAgreements } from './metrics.ts';
import { rowsOf, type Rows } from './rows.ts';
import type { Outcome } from './run_case.ts';
import { keptTokens } from './tokens.ts';
import type { Bound } from './tolerances.ts';

/** What the check of what codes cost is called. */
export const QUALITY_OUTPUT = 'logits against the original';

/**
 * How far a quantized model's next-token distributions are from the original's, over all positions of all cases: a
 * bound on a mean or on a share says nothing about the few positions of one output. Values are summed up as cases come,
 * not kept.
 */
export class AgreementTally {
  readonly #columns: number;
  readonly #tieMargin: (logit: number) => number;
  readonly #parts: RowAgreements[] = [];
  #nonFinite = 0;

  constructor({ vocabSize }: Pick<ProgramMetadata, 'vocabSize'>, tieMargin: (logit: number) => number) {
    this.#columns = vocabSize;
    this.#tieMargin = tieMargin;
  }

  /**
   * Adds every logit that the original has. Greedy logits count where both read the same tokens.
   * @throws VerifyError when the candidate lacks some, or has other columns than the vocabulary.
   */
  add(verifyCase: VerifyCase, candidate: Outcome, original: Outcome): void {
    const { prefillLogits, suffixLogits, greedy } = original;
    if (prefillLogits)
      this.#compare(
        verifyCase,
        'prefill logits',
        candidate.prefillLogits,
        prefillLogits,
        keptTokens(verifyCase, prefillLogits.shape[1]!),
      );
    if (suffixLogits) this.#compare(verifyCase, 'suffix logits', candidate.suffixLogits, suffixLogits);
    if (greedy) this.#compare(verifyCase, 'greedy logits', candidate.greedy?.logits, greedy.logits);
  }

  /** The verdict on all that was added, which is of `cases`. */
  check(cases: string, bounds: readonly Bound[]): Check {
    const { meanKld, kld99, maxKld, sameTop1, rows } = pooledAgreement(this.#parts);
    return checkOf(
      { case: cases, output: QUALITY_OUTPUT },
      { meanKld, kld99, maxKld, sameTop1, nonFinite: this.#nonFinite },
      bounds,
      { note: `${rows} positions` },
    );
  }

  #compare(
    { name }: VerifyCase,
    output: string,
    candidate: Tensor | undefined,
    original: Tensor,
    valid?: readonly boolean[],
  ): void {
    const expected = [...original.shape.slice(0, -1), this.#columns].join(', ');
    if (candidate?.shape.join(', ') !== expected)
      throw new VerifyError(
        'bad_output',
        `${name}, ${output}: [${candidate?.shape.join(', ') ?? 'nothing'}], not [${expected}] as the original and the vocabulary have it`,
        'convert again: the bundle does not hold what the model gives',
      );
    const rows = (tensor: Tensor): Rows => rowsOf(tensor, { columns: this.#columns, ...(valid && { valid }) });
    this.#parts.push(compareRows(rows(candidate), rows(original), this.#tieMargin));
    this.#nonFinite += difference(rows(candidate), rows(original)).nonFinite;
  }
}

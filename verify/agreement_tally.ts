import type { ProgramMetadata } from '../ir/graph.ts';
import { stopTokens } from '../ir/metadata.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { checkOf, type Check } from './check.ts';
import { VerifyError } from './error.ts';
import { compareRows, difference, pooledAgreement, type RowAgreements } from './metrics.ts';
import { rowsOf, type Rows } from './rows.ts';
import type { Outcome } from './run_case.ts';
import { keptTokens } from './tokens.ts';
import type { Bound, MetricName } from './tolerances.ts';

/** What the check of what codes cost is called. */
export const QUALITY_OUTPUT = 'logits against the original';

/**
 * How far a quantized model's next-token distributions are from the original's, over all positions of all cases: a
 * bound on a mean or on a share says nothing about the few positions of one output. Values are summed up as cases come,
 * not kept.
 */
export class AgreementTally {
  readonly #columns: number;
  readonly #stops: readonly number[];
  readonly #tieMargin: (logit: number) => number;
  readonly #parts: RowAgreements[] = [];
  #nonFinite = 0;

  constructor(
    metadata: Pick<ProgramMetadata, 'vocabSize' | 'eosTokenId' | 'stopTokenIds'>,
    tieMargin: (logit: number) => number,
  ) {
    this.#columns = metadata.vocabSize;
    this.#stops = stopTokens(metadata);
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
    if (greedy)
      this.#compare(verifyCase, 'greedy logits', candidate.greedy?.logits, greedy.logits, this.#written(greedy.tokens));
  }

  /** Positions up to the token that ends an answer: what a model says behind it, nobody hears. */
  #written(tokens: readonly (readonly number[])[]): readonly boolean[] {
    return tokens.flatMap((row) => {
      const end = row.findIndex((token) => this.#stops.includes(token));
      return row.map((_, step) => end < 0 || step <= end);
    });
  }

  /** The verdict on all that was added, which is of `cases`. */
  check(cases: string, bounds: readonly Bound[]): Check {
    const { meanKld, meanKldError, kld99, maxKld, sameTop1, rows } = pooledAgreement(this.#parts);
    const errors = { meanKld: meanKldError, sameTop1: Math.sqrt((sameTop1 * (1 - sameTop1)) / rows) };
    return checkOf(
      { case: cases, output: QUALITY_OUTPUT },
      { meanKld, kld99, maxKld, sameTop1, nonFinite: this.#nonFinite },
      bounds.map((bound) => beyondChance(bound, errors)),
      { note: `${rows} positions${meanKldError > 0 ? `, mean KLD ±${meanKldError.toExponential(1)}` : ''}` },
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

/** Standard errors within which a mean over positions may be beyond its bound by chance: one mean in forty is. */
const ERRORS = 2;

/** A bound moved by what chance does to the mean that it is of. */
function beyondChance(bound: Bound, errors: Readonly<Partial<Record<MetricName, number>>>): Bound {
  const error = ERRORS * (errors[bound.metric] ?? 0);
  if (!(error > 0) || !Number.isFinite(error)) return bound;
  return {
    ...bound,
    ...(bound.atMost !== undefined && { atMost: bound.atMost + error }),
    ...(bound.atLeast !== undefined && { atLeast: bound.atLeast - error }),
    reason: `${bound.reason}; with twice the standard error`,
  };
}

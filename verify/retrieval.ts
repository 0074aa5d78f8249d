import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { hasImages, type VerifyCase } from './cases.ts';
import { checkOf, checkValues, type Check } from './check.ts';
import { rowsOf } from './rows.ts';
import type { Outcome } from './run_case.ts';
import { TOKEN_LENGTH, type Tolerances } from './tolerances.ts';

/** How well pages answer queries, as another implementation was seen to rate them. */
export interface RecordedScores {
  /** Names of the cases whose vectors meet. */
  readonly queries: string;
  readonly pages: string;
  /** f32[queries, pages]. */
  readonly scores: Tensor;
}

/** A case with the vectors that both sides made of its prompt. */
export interface ComparedVectors {
  readonly verifyCase: VerifyCase;
  readonly candidate?: Tensor | undefined;
  readonly reference?: Tensor | undefined;
}

/**
 * Late interaction (arXiv:2407.01449, ColPaliProcessor.score_retrieval): for every vector of a query its largest dot
 * product with one of a page, summed. Queries [Q, T, E] and pages [P, S, E] give f32[Q, P]. Padding is 0 and takes part
 * as such: in a query it adds nothing, in a page it is a vector that is orthogonal to all.
 */
export function maxSim(queries: Tensor, pages: Tensor): Tensor {
  const [queryRows, pageRows] = [rowsOf(queries), rowsOf(pages)];
  const [queryCount, queryTokens, width] = queries.shape as readonly [number, number, number];
  const [pageCount, pageTokens] = pages.shape as readonly [number, number, number];
  const best = (q: number, page: number): number => {
    let most = -Infinity;
    for (let t = 0; t < pageTokens; t++) {
      const p = pageRows.starts[page * pageTokens + t]!;
      let dot = 0;
      for (let c = 0; c < width; c++) dot += queries.data[q + c]! * pages.data[p + c]!;
      most = Math.max(most, dot); // NaN stays, whatever follows
    }
    return most;
  };
  const scores = Array.from({ length: queryCount * pageCount }, (_, i) => {
    const [query, page] = [Math.floor(i / pageCount), i % pageCount];
    let sum = 0;
    for (let t = 0; t < queryTokens; t++) sum += best(queryRows.starts[query * queryTokens + t]!, page);
    return sum;
  });
  return tensorOf('f32', [queryCount, pageCount], scores);
}

/** Scores of every case of queries with every case of pages, whether the reference is a runner or a recording. */
export function checkScores(
  vectors: readonly ComparedVectors[],
  recorded: readonly RecordedScores[],
  { scores: bounds }: Tolerances,
): Check[] {
  const pages = vectors.filter(({ verifyCase }) => hasImages(verifyCase));
  const queries = vectors.filter(({ verifyCase }) => !hasImages(verifyCase));
  return queries.flatMap((query) =>
    pages.flatMap((page) => {
      const known = recorded.find(
        (r) => r.queries === query.verifyCase.name && r.pages === page.verifyCase.name,
      )?.scores;
      const expected = known ?? scoresOf(query.reference, page.reference);
      return expected
        ? [
            checkValues(
              { case: `${query.verifyCase.name} × ${page.verifyCase.name}`, output: 'MaxSim scores' },
              scoresOf(query.candidate, page.candidate),
              expected,
              bounds,
            ),
          ]
        : [];
    }),
  );
}

/** Undefined where vectors are missing, or of another width: their own check has failed then. */
function scoresOf(queries: Tensor | undefined, pages: Tensor | undefined): Tensor | undefined {
  return queries && pages && queries.shape.at(-1) === pages.shape.at(-1) ? maxSim(queries, pages) : undefined;
}

/** What holds of ColPali's vectors whatever the reference says: of length 1 at tokens, 0 at padding. */
export function checkLengths(
  { name, attentionMask }: VerifyCase,
  { prefillEmbeddings, suffixEmbeddings }: Outcome,
): Check[] {
  if (!prefillEmbeddings) return [];
  const isToken = Array.from(attentionMask.data, (m) => m !== 0);
  const lengths = lengthsOf(prefillEmbeddings);
  const tokens = [...lengths.filter((_, i) => isToken[i]), ...(suffixEmbeddings ? lengthsOf(suffixEmbeddings) : [])];
  const padding = lengths.filter((_, i) => !isToken[i]);
  const checks = [
    checkOf(
      { case: name, output: 'embeddings have length 1' },
      { maxAbs: largest(tokens.map((length) => length - 1)) },
      [TOKEN_LENGTH],
    ),
  ];
  if (padding.length === 0) return checks;
  return [
    ...checks,
    checkOf({ case: name, output: 'embeddings of padding are 0' }, { maxAbs: largest(padding) }, [
      {
        metric: 'maxAbs',
        atMost: 0,
        reason: 'a product with the mask’s 0 is exact; anything else would be found by queries',
      },
    ]),
  ];
}

function lengthsOf(vectors: Tensor): number[] {
  const { data, starts, columns } = rowsOf(vectors);
  return starts.map((start) => Math.hypot(...data.subarray(start, start + columns)));
}

/** NaN when one of them is. */
function largest(values: readonly number[]): number {
  return Math.max(...values.map(Math.abs));
}

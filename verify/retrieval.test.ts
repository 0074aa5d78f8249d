import { describe, expect, test } from 'vitest';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { checkLengths, checkScores, maxSim } from './retrieval.ts';
import { TOLERANCES } from './tolerances.ts';

const vectors = (shape: number[], values: number[]): Tensor => tensorOf('f32', shape, values);
const mask = (rows: number[][]): Tensor => tensorOf('i64', [rows.length, rows[0]!.length], rows.flat());

function caseOf(name: string, images: number, attentionMask: Tensor): VerifyCase {
  return {
    name,
    pixelValues: tensorOf('f32', [images, 3, 1, 1], Array<number>(images * 3).fill(0)),
    inputIds: attentionMask,
    attentionMask,
    imageTokenId: 9,
    maxNewTokens: 0,
    logitsToKeep: 1,
  };
}

describe('maxSim', () => {
  const pages = vectors([2, 2, 2], [1, 0, 0, 1, -1, 0, 0.6, 0.8]);

  test('sums the best dot product of every vector of a query', () => {
    const queries = vectors([1, 2, 2], [1, 0, 0, -1]);
    const { shape, data } = maxSim(queries, pages);
    expect(shape).toEqual([1, 2]);
    expect(data[0]).toBeCloseTo(1 + 0, 6);
    expect(data[1]).toBeCloseTo(0.6 + 0, 6);
  });

  test('padding of a query adds nothing, whatever the page; padding of a page counts as orthogonal', () => {
    const [padded, bare] = [
      maxSim(vectors([1, 3, 2], [0, 0, 1, 0, 0, -1]), pages),
      maxSim(vectors([1, 2, 2], [1, 0, 0, -1]), pages),
    ];
    expect([...padded.data]).toEqual([...bare.data]);
    const [away, withPadding] = [
      maxSim(vectors([1, 1, 2], [-1, 0]), vectors([1, 1, 2], [1, 0])),
      maxSim(vectors([1, 1, 2], [-1, 0]), vectors([1, 2, 2], [1, 0, 0, 0])),
    ];
    expect([away.data[0], withPadding.data[0]]).toEqual([-1, 0]);
  });

  test('keeps NaN, whatever vector of the page has it', () => {
    for (const page of [
      [Number.NaN, 0, 1, 0],
      [1, 0, Number.NaN, 0],
    ])
      expect(maxSim(vectors([1, 1, 2], [1, 0]), vectors([1, 2, 2], page)).data[0]).toBeNaN();
  });
});

describe('checkScores', () => {
  const tolerances = TOLERANCES.fp32({ layers: 1, hiddenSize: 8 });
  const page = {
    verifyCase: caseOf('page', 1, mask([[1]])),
    candidate: vectors([1, 1, 2], [0.6, 0.8]),
    reference: vectors([1, 1, 2], [0.6, 0.8]),
  };
  const query = {
    verifyCase: caseOf('query', 0, mask([[1]])),
    candidate: vectors([1, 1, 2], [1, 0]),
    reference: vectors([1, 1, 2], [1, 0]),
  };

  test('holds queries against pages, and neither against its like', () => {
    const checks = checkScores([page, query], [], tolerances);
    expect(checks).toEqual([expect.objectContaining({ case: 'query × page', output: 'MaxSim scores', passed: true })]);
    expect(checkScores([page, page], [], tolerances)).toEqual([]);
    expect(checkScores([query], [], tolerances)).toEqual([]);
  });

  test('takes recorded scores before those of recorded vectors', () => {
    const recorded = (score: number) => [{ queries: 'query', pages: 'page', scores: vectors([1, 1], [score]) }];
    expect(checkScores([page, query], recorded(0.6), tolerances)[0]!.passed).toBe(true);
    expect(checkScores([page, query], recorded(0.61), tolerances)[0]!.passed).toBe(false);
  });

  test('fails a candidate that has no vectors, or vectors of another width', () => {
    expect(checkScores([{ ...page, candidate: undefined }, query], [], tolerances)[0]).toMatchObject({
      passed: false,
      note: 'the candidate gave nothing to compare',
    });
    expect(
      checkScores([{ ...page, candidate: vectors([1, 1, 3], [0.6, 0.8, 0]) }, query], [], tolerances)[0]!.passed,
    ).toBe(false);
  });

  test('has nothing to say of a reference without vectors', () => {
    expect(checkScores([{ ...page, reference: undefined }, query], [], tolerances)).toEqual([]);
  });
});

describe('checkLengths', () => {
  const padded = caseOf('padded', 0, mask([[0, 1]]));
  const outcome = (values: number[]) => ({ prefillEmbeddings: vectors([1, 2, 2], values) });
  const failed = (checks: ReturnType<typeof checkLengths>) =>
    checks.filter(({ passed }) => !passed).map(({ output }) => output);

  test('wants 1 at tokens and exactly 0 at padding', () => {
    expect(failed(checkLengths(padded, outcome([0, 0, 0.6, 0.8])))).toEqual([]);
    expect(failed(checkLengths(padded, outcome([0, 0, 0.6, 0.7])))).toEqual(['embeddings have length 1']);
    expect(failed(checkLengths(padded, outcome([0, 1e-20, 0.6, 0.8])))).toEqual(['embeddings of padding are 0']);
    expect(failed(checkLengths(padded, outcome([Number.NaN, 0, Number.NaN, 0.8])))).toEqual([
      'embeddings have length 1',
      'embeddings of padding are 0',
    ]);
  });

  test('looks at the vectors of a continuation, too', () => {
    expect(
      failed(checkLengths(padded, { ...outcome([0, 0, 0.6, 0.8]), suffixEmbeddings: vectors([1, 1, 2], [0, 0]) })),
    ).toEqual(['embeddings have length 1']);
  });

  test('says nothing where there is no head or no padding', () => {
    expect(checkLengths(padded, {})).toEqual([]);
    expect(
      checkLengths(caseOf('bare', 0, mask([[1, 1]])), outcome([1, 0, 0.6, 0.8])).map(({ output }) => output),
    ).toEqual(['embeddings have length 1']);
  });
});

import { expect, test } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { rowsOf, type Rows } from '../../verify/rows.ts';
import { DistributionTally } from './distribution_tally.ts';

/** Rows of logits that softmax turns into these probabilities; a constant per row changes nothing. */
const rowsWith = (...distributions: readonly (readonly number[])[]): Rows => {
  const values = distributions.flatMap((row, i) => row.map((p) => Math.log(p) + i));
  return rowsOf({
    dtype: 'f32',
    shape: [1, distributions.length, distributions[0]!.length],
    data: Float64Array.from(values),
  });
};
const NO_TIES = () => 0;

test('known divergences: mean, percentile, largest; and the change of probability of the token that follows', () => {
  const tally = new DistributionTally(NO_TIES);
  const [a, b] = [
    [0.5, 0.25, 0.25],
    [0.25, 0.5, 0.25],
  ];
  tally.add(rowsWith(b, a), rowsWith(a, a), [0, 2]);
  const found = tally.metrics();
  const divergence = 0.25 * Math.LN2; // 0.5 ln 2 - 0.25 ln 2
  expect(found.positions).toBe(2);
  expect(found.meanKld).toBeCloseTo(divergence / 2, 12);
  expect(found.maxKld).toBeCloseTo(divergence, 12);
  expect(found.meanKldError, '0 and d: deviation d / √2, by √2').toBeCloseTo(divergence / 2, 12);
  expect(found.kld99).toBe(found.maxKld);
  expect(found.sameTop1).toBe(0.5);
  expect(found.rmsDeltaP).toBeCloseTo(Math.sqrt(0.25 ** 2 / 2), 12);
  expect(found.maxAbsLogit).toBeCloseTo(Math.LN2, 12);
});

test('the divergence has the reference in front: it is not symmetric', () => {
  const [p, q] = [
    [0.9, 0.1],
    [0.5, 0.5],
  ];
  const of = (candidate: number[], reference: number[]) => {
    const tally = new DistributionTally(NO_TIES);
    tally.add(rowsWith(candidate), rowsWith(reference), [undefined]);
    return tally.metrics();
  };
  expect(of(q, p).meanKld).toBeCloseTo(0.9 * Math.log(1.8) + 0.1 * Math.log(0.2), 12);
  expect(of(p, q).meanKld).toBeCloseTo(0.5 * Math.log(0.5 / 0.9) + 0.5 * Math.log(5), 12);
  expect(of(p, q).rmsDeltaP, 'nothing follows').toBeNaN();
});

test('the 99th percentile leaves one of a hundred out, over several additions', () => {
  const tally = new DistributionTally(NO_TIES);
  for (let i = 0; i < 100; i++) tally.add(rowsWith(i === 40 ? [0.1, 0.9] : [0.5, 0.5]), rowsWith([0.5, 0.5]), [0]);
  const { kld99, maxKld, meanKld, positions } = tally.metrics();
  expect(positions).toBe(100);
  expect(kld99).toBeCloseTo(0, 12);
  expect(maxKld).toBeCloseTo(0.5 * Math.log(5) + 0.5 * Math.log(0.5 / 0.9), 12);
  expect(meanKld).toBeCloseTo(maxKld / 100, 12);
});

test('a token within the margin of the reference’s best counts off ties only', () => {
  const tally = new DistributionTally(() => 0.5);
  tally.add(rowsWith([0.4, 0.5, 0.1], [0.1, 0.4, 0.5]), rowsWith([0.5, 0.4, 0.1], [0.5, 0.4, 0.1]), [0, 0]);
  // ln(0.5 / 0.4) is within, ln(0.5 / 0.1) is not
  expect(tally.metrics()).toMatchObject({ sameTop1: 0, sameTop1OffTies: 0.5 });
});

test('logits that are not finite give an infinite divergence and are counted', () => {
  const tally = new DistributionTally(NO_TIES);
  tally.add(rowsOf(tensorOf('f32', [1, 1, 2], [Number.NaN, 1])), rowsOf(tensorOf('f32', [1, 1, 2], [0, 1])), [1]);
  expect(tally.metrics()).toMatchObject({ meanKld: Infinity, nonFinite: 1, sameTop1: 0 });
});

import { describe, expect, it } from 'vitest';
import { baselineLines, baselineTitle, compareWithBaseline, figuresOf, measuredModel, NOISE } from './baseline.ts';
import { PARTS_OUTPUT } from './parts.ts';
import { countingMetadata } from './testing/counting_runner.ts';
import type { MetricName } from './tolerances.ts';
import type { VerifyReport } from './verify.ts';

type Metrics = Partial<Record<MetricName, number>>;

const report = (metrics: Metrics, output = 'logits against the original'): VerifyReport => ({
  passed: true,
  candidate: 'a runtime',
  precision: 'int4',
  checks: [{ case: 'all cases', output, passed: true, metrics, bounds: [] }],
  greedyDifferences: [],
  seconds: 1,
});

const compare = (before: Metrics, now: Metrics) => compareWithBaseline(report(now), figuresOf(report(before)));

describe('figures against a baseline', () => {
  it('are the same for the same report, whatever they are', () => {
    const metrics = { meanKld: 9.5e-3, kld99: 0.1, maxAbs: 4.2, cosine: 0.9945876, sameTop1: 0.973, nonFinite: 0 };
    expect(compare(metrics, metrics)).toMatchObject({ passed: true, compared: 6, worse: [], better: [], missing: [] });
  });

  it('catch a divergence twice as large, and say which', () => {
    const verdict = compare({ meanKld: 9.5e-3, sameTop1: 0.973 }, { meanKld: 1.9e-2, sameTop1: 0.973 });
    expect(verdict.passed).toBe(false);
    expect(baselineTitle(verdict)).toBe('of 2 figures 1 are worse than the baseline by more than their noise');
    expect(baselineLines(verdict)).toEqual([
      'worse: all cases, logits against the original: meanKld is 1.9e-2, was 9.5e-3, at most 1.1e-2 is noise',
    ]);
  });

  it.each<[MetricName, number]>([
    ['relativeL2', 1e-3],
    ['maxAbs', 1e-2],
    ['meanKld', 1e-7],
    ['kld99', 1e-7],
    ['maxKld', 1e-7],
    ['cosine', 0.9999],
  ])('of %s twice as far from perfect are worse, half as far better, and noise is neither', (metric, before) => {
    const at = (factor: number) => (metric === 'cosine' ? 1 - (1 - before) * factor : before * factor);
    expect(compare({ [metric]: before }, { [metric]: at(2) }).worse).toMatchObject([{ metric, before, now: at(2) }]);
    expect(compare({ [metric]: before }, { [metric]: at(0.5) })).toMatchObject({ passed: true, better: [{ metric }] });
    const within = 1 + NOISE[metric].share * 0.9;
    expect(compare({ [metric]: before }, { [metric]: at(within) })).toMatchObject({ passed: true, better: [] });
  });

  it('of an f32 bundle are roundings, which may double', () => {
    const before = { maxAbs: 5e-6, relativeL2: 2e-7, cosine: 1 - 4e-14, meanKld: 5e-13, maxKld: 2e-12, sameTop1: 1 };
    const now = { maxAbs: 1.4e-5, relativeL2: 5e-7, cosine: 1 - 8e-14, meanKld: 6e-12, maxKld: 2e-11, sameTop1: 1 };
    expect(compare(before, now)).toMatchObject({ passed: true, worse: [] });
  });

  it('have no noise where tokens and infinities are counted', () => {
    expect(compare({ sameTop1: 1 }, { sameTop1: 0.999 }).passed).toBe(false);
    expect(compare({ nonFinite: 0 }, { nonFinite: 1 }).passed).toBe(false);
  });

  it('that are no numbers are worse than any', () => {
    expect(compare({ meanKld: 0.1 }, { meanKld: NaN }).passed).toBe(false);
    expect(compare({ maxAbs: 0.1 }, { maxAbs: Infinity }).passed).toBe(false);
  });

  it('that are gone fail, and those that are new do not count', () => {
    const verdict = compare({ meanKld: 0.1, maxAbs: 1 }, { meanKld: 0.1, cosine: 0.9 });
    expect(verdict).toMatchObject({ passed: false, compared: 1, missing: [{ metric: 'maxAbs' }] });
    expect(baselineLines(verdict)).toEqual([
      'not measured: all cases, logits against the original: maxAbs, which the baseline has',
    ]);
    const other = compareWithBaseline(report({ meanKld: 0.1 }, 'x'), figuresOf(report({ meanKld: 0.1 }, 'y')));
    expect(other.missing).toEqual([{ case: 'all cases', output: 'y', metric: 'meanKld' }]);
  });

  it.each<[MetricName, number, number, string]>([
    ['cosine', 1 - 1e-15, 1 - 3.8e-12, '1 - cosine is 3.8e-12, was 1.0e-15, at most 1.0e-12 is noise'],
    ['sameTop1', 0.99999, 0.99998, 'sameTop1 is 99.998 %, was 99.999 %, at least 99.999 % is noise'],
    ['relativeL2', 1e-3, 1.104e-3, 'relativeL2 is 1.104e-3, was 1.000e-3, at most 1.100e-3 is noise'],
    ['meanKld', 0.1, NaN, 'meanKld is NaN, was 1.0e-1, at most 1.2e-1 is noise'],
  ])('of %s are told with digits that tell them apart', (metric, before, now, line) => {
    expect(baselineLines(compare({ [metric]: before }, { [metric]: now }))).toEqual([
      `worse: all cases, logits against the original: ${line}`,
    ]);
  });

  it('that are many are not all told', () => {
    const many = (value: number) => ({
      ...report({}),
      checks: Array.from({ length: 31 }, (_, i) => ({ ...report({ meanKld: value }, `${i}`).checks[0]! })),
    });
    const lines = baselineLines(compareWithBaseline(many(2), figuresOf(many(1))));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('and 11 more figures that are worse: --json has all');
    const gone = baselineLines(compareWithBaseline(report({}), figuresOf(many(1))));
    expect(gone.at(-1)).toBe('and 11 more figures that were not measured: --json has all');
  });

  it('of parts are not among them: they are there where memory was short', () => {
    expect(figuresOf(report({ relativeL2: 1 }, PARTS_OUTPUT)).figures).toEqual([]);
  });

  it('are of a model, which is known by its sizes and names', () => {
    expect(Object.keys(measuredModel(countingMetadata))).not.toContain('eosTokenId');
    expect(measuredModel({ ...countingMetadata, eosTokenId: 77 })).toEqual(measuredModel(countingMetadata));
    expect(measuredModel({ ...countingMetadata, layers: 77 })).not.toEqual(measuredModel(countingMetadata));
  });

  it('are errors: a distance that has to be there is none', () => {
    const bounds = [
      { metric: 'maxAbs', atLeast: 1e-3, value: 0.09, passed: true, reason: 'a prompt sees ahead' },
    ] as const;
    const checks = [{ case: 'x', output: 'prompt sees ahead', passed: true, metrics: { maxAbs: 0.09 }, bounds }];
    expect(figuresOf({ ...report({}), checks }).figures).toEqual([]);
  });
});

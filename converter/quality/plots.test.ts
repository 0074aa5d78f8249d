import { describe, expect, it } from 'vitest';
import { plotsOf } from './plots.ts';
import type { QualityReport } from './report.ts';

type Variant = QualityReport['variants'][number];

const variant = (label: string, rest: Partial<Variant>): Variant =>
  ({ label, bitsPerWeight: 8, meanKld: 1e-3, passed: true, stages: [], ...rest }) as unknown as Variant;
const report = (rest: Partial<QualityReport>): QualityReport => ({ variants: [], ...rest }) as unknown as QualityReport;

/** All rows of data of a plot, in its own order. */
function rowsOf(spec: unknown): Record<string, unknown>[] {
  if (typeof spec !== 'object' || spec === null) return [];
  const { data, layer = [] } = spec as { data?: { values: Record<string, unknown>[] }; layer?: unknown[] };
  return [...(data?.values ?? []), ...layer.flatMap(rowsOf)];
}

const stage = (phase: 'vision' | 'prefill' | 'suffix', name: string, snr: number) =>
  ({ phase, stage: name, snr, cosine: 1 }) as Variant['stages'][number];

it('there is a plot for what there is to draw', () => {
  const names = (rest: Partial<QualityReport>) => plotsOf(report(rest)).map(({ name }) => name);
  const value = { graph: 'decoder', value: 'x', absMax: 1 };
  expect(names({})).toEqual([]);
  expect(names({ variants: [variant('a', {})] })).toEqual(['quality-against-size']);
  expect(names({ variants: [variant('a', { stages: [stage('vision', 'vit.0', 50)] })] })).toEqual([
    'quality-against-size',
    'snr-by-stage',
  ]);
  expect(names({ ranges: { cases: 1, values: [], findings: [] } })).toEqual([]);
  expect(names({ ranges: { cases: 1, values: [value], findings: [] } })).toEqual(['activation-ranges']);
});

describe('quality against size', () => {
  it('draws the smallest first, names by turns above and below, divergences within bounds', () => {
    const [plot] = plotsOf(
      report({
        variants: [
          variant('fp32', { bitsPerWeight: 32, meanKld: 0 }),
          variant('int4', { bitsPerWeight: 4.5, meanKld: 0.25, passed: false }),
          variant('broken', { bitsPerWeight: 8, meanKld: NaN, passed: false }),
          variant('worse', { bitsPerWeight: 16, meanKld: 1e5, passed: false }),
        ],
      }),
    );
    expect(rowsOf(plot!.spec)).toEqual([
      { label: 'int4', bits: 4.5, kld: 0.25, verdict: 'misses a target', above: true },
      { label: 'broken', bits: 8, kld: 100, verdict: 'misses a target', above: false },
      { label: 'worse', bits: 16, kld: 100, verdict: 'misses a target', above: true },
      { label: 'fp32', bits: 32, kld: 1e-10, verdict: 'meets its targets', above: false },
    ]);
    expect(plot!.description).toContain('int4: 4.50 bits, 2.50e-1; broken: 8.00 bits, NaN');
  });
});

describe('signal to noise by stage', () => {
  it('draws image tower and prompt in order, within bounds, and says the last', () => {
    const stages = [
      stage('vision', 'vit.0', 160),
      stage('prefill', 'lm.0', 60),
      stage('prefill', 'lm.1', -50),
      stage('suffix', 'lm.0', 10),
    ];
    const [, plot] = plotsOf(
      report({ variants: [variant('a', { stages }), variant('b', { stages: [stage('vision', 'vit.0', NaN)] })] }),
    );
    expect(rowsOf(plot!.spec)).toEqual([
      { label: 'a', stage: 'vit.0', snr: 150 },
      { label: 'a', stage: 'lm.0', snr: 60 },
      { label: 'a', stage: 'lm.1', snr: -20 },
      { label: 'b', stage: 'vit.0', snr: -20 },
    ]);
    expect(plot!.description).toMatch(/prompt\. a: -50\.0 dB at lm\.1\.$/);
  });
});

describe('activations against f16', () => {
  it('draws all in order, none below the floor, beside the limit and where calibration begins', () => {
    const values = [70000, 0, 1e-3, 2].map((absMax, i) => ({ graph: 'decoder', value: `v${i}`, absMax }));
    const [plot] = plotsOf(report({ ranges: { cases: 3, values, findings: [] } }));
    const rows = rowsOf(plot!.spec);
    expect(rows.slice(0, 4).map(({ index, value, absMax }) => [index, value, absMax])).toEqual([
      [0, 'v0', 70000],
      [1, 'v1', 1e-3],
      [2, 'v2', 1e-3],
      [3, 'v3', 2],
    ]);
    expect(rows.slice(4).map(({ at }) => at)).toEqual([65504, 16376]);
    expect(plot!.description).toContain('of 4 values that fp16 rounds, over 3 cases');
    expect(plot!.description).toMatch(/Largest: decoder v0 7\.00e\+4; decoder v3 2\.00; decoder v2 0\.00100\.$/);
  });
});

import { dtypes } from '../../ir/dtypes/index.ts';
import { F16_MARGIN } from '../../ir/observe/f16_range.ts';
import { clamp, COLORS, decades, SCHEMA, type Plot } from '../report/plot.ts';
import type { QualityReport, RangesSummary, VariantResult } from './report.ts';

/**
 * Divergences beyond are drawn here: f32 against float64 differs by rounding only and a logarithm has no zero; a broken
 * model may have no limit.
 */
const KLD_DRAWN = [1e-10, 100] as const;
/** SNRs beyond are drawn here: f32 itself has 144 dB, and at -20 a stage is noise. */
const SNR_DRAWN = [-20, 150] as const;
/** Largest values below this are drawn here. */
const RANGE_FLOOR = 1e-3;

const WIDTH = 640;

/** The plots of a report: those for which it has something to draw. */
export function plotsOf(report: QualityReport): readonly Plot[] {
  const { variants, ranges } = report;
  return [
    ...(variants.length > 0 ? [sizePlot(variants)] : []),
    ...(variants.some(({ stages }) => stages.length > 0) ? [snrPlot(variants)] : []),
    ...(ranges && ranges.values.length > 0 ? [rangePlot(ranges)] : []),
  ];
}

function sizePlot(variants: readonly VariantResult[]): Plot {
  // Neighbours in size write their names above and below their points.
  const bySize = variants.toSorted((a, b) => a.bitsPerWeight - b.bitsPerWeight);
  const values = bySize.map(({ label, bitsPerWeight, meanKld, passed }, i) => ({
    label,
    bits: bitsPerWeight,
    kld: clamp(meanKld, ...KLD_DRAWN, KLD_DRAWN[1]),
    verdict: passed ? 'meets its targets' : 'misses a target',
    above: i % 2 === 0,
  }));
  const verdicts = { domain: ['meets its targets', 'misses a target'] };
  return {
    name: 'quality-against-size',
    title: 'Quality against size',
    description: `Mean KL divergence from f32 against bits per weight. ${bySize.map(({ label, bitsPerWeight, meanKld }) => `${label}: ${bitsPerWeight.toFixed(2)} bits, ${meanKld.toExponential(2)}`).join('; ')}.`,
    spec: {
      $schema: SCHEMA,
      width: WIDTH,
      height: 280,
      data: { values },
      encoding: {
        x: { field: 'bits', type: 'quantitative', title: 'bits per weight, scales included', scale: { zero: true } },
        y: {
          field: 'kld',
          type: 'quantitative',
          title: 'mean KL divergence (nats)',
          scale: { type: 'log' },
          axis: { format: '.0e', values: decades(values.map(({ kld }) => kld)) },
        },
      },
      layer: [
        {
          mark: { type: 'point', filled: true, size: 110, opacity: 1 },
          encoding: {
            shape: {
              field: 'verdict',
              type: 'nominal',
              title: null,
              scale: { ...verdicts, range: ['circle', 'cross'] },
            },
            color: {
              field: 'verdict',
              type: 'nominal',
              title: null,
              scale: { ...verdicts, range: [COLORS[0]!, COLORS[4]!] },
            },
          },
        },
        ...[true, false].map((above) => ({
          transform: [{ filter: `datum.above === ${above}` }],
          mark: { type: 'text' as const, dy: above ? -12 : 14, fill: 'currentColor' },
          encoding: { text: { field: 'label', type: 'nominal' as const } },
        })),
      ],
    },
  };
}

function snrPlot(variants: readonly VariantResult[]): Plot {
  const values = variants.flatMap(({ label, stages }) =>
    stages
      .filter(({ phase }) => phase !== 'suffix')
      .map(({ stage, snr }) => ({ label, stage, snr: clamp(snr, ...SNR_DRAWN, SNR_DRAWN[0]) })),
  );
  const order = [...new Set(values.map(({ stage }) => stage))];
  const last = variants.flatMap(({ label, stages }) =>
    stages
      .filter(({ phase }) => phase === 'prefill')
      .slice(-1)
      .map(({ stage, snr }) => `${label}: ${snr.toFixed(1)} dB at ${stage}`),
  );
  const labels = variants.map(({ label }) => label);
  return {
    name: 'snr-by-stage',
    title: 'Signal-to-noise ratio of every stage',
    description: `SNR in dB against f32, by stage, in the order in which values flow: image tower, then decoder over the prompt. ${last.join('; ')}.`,
    spec: {
      $schema: SCHEMA,
      width: WIDTH,
      height: 280,
      data: { values },
      mark: { type: 'line', point: { size: 50 }, strokeWidth: 2 },
      encoding: {
        x: {
          field: 'stage',
          type: 'ordinal',
          sort: order,
          title: null,
          axis: { labelAngle: order.length > 8 ? -45 : 0 },
        },
        y: { field: 'snr', type: 'quantitative', title: 'SNR (dB)' },
        color: { field: 'label', type: 'nominal', sort: labels, title: null, scale: { range: COLORS } },
        shape: { field: 'label', type: 'nominal', sort: labels, title: null },
      },
    },
  };
}

function rangePlot({ values: all, cases }: RangesSummary): Plot {
  const limit = dtypes.f16.max;
  const values = all.map(({ graph, value, absMax }, index) => ({
    index,
    graph,
    value,
    absMax: Math.max(RANGE_FLOOR, absMax),
  }));
  const largest = all.toSorted((a, b) => b.absMax - a.absMax).slice(0, 3);
  return {
    name: 'activation-ranges',
    title: 'Activations against the limit of f16',
    description: `Largest magnitude of each of ${all.length} values that fp16 rounds, over ${cases} cases, beside ${limit}. Largest: ${largest.map(({ graph, value, absMax }) => `${graph} ${value} ${absMax.toPrecision(3)}`).join('; ')}.`,
    spec: {
      $schema: SCHEMA,
      width: WIDTH,
      height: 280,
      layer: [
        {
          data: { values },
          mark: { type: 'point', filled: true, size: 30, opacity: 0.9 },
          encoding: {
            x: {
              field: 'index',
              type: 'quantitative',
              title: 'values in the order in which they are computed',
              axis: { labels: false, ticks: false, grid: false },
            },
            y: {
              field: 'absMax',
              type: 'quantitative',
              title: 'largest magnitude',
              scale: { type: 'log' },
              axis: { format: '~g', values: decades([...values.map(({ absMax }) => absMax), limit]) },
            },
            color: { field: 'graph', type: 'nominal', title: null, scale: { range: COLORS } },
            shape: { field: 'graph', type: 'nominal', title: null },
            description: { field: 'value', type: 'nominal' },
          },
        },
        ...[
          { at: limit, text: `${limit}: beyond, f16 is infinite` },
          { at: limit / F16_MARGIN, text: `${limit / F16_MARGIN}: from here, --calibrate keeps values in f32` },
        ].map(({ at, text }, i) => ({
          data: { values: [{ at, text }] },
          encoding: { y: { field: 'at', type: 'quantitative' as const } },
          layer: [
            {
              mark: {
                type: 'rule' as const,
                stroke: COLORS[4]!,
                strokeWidth: 1.5,
                ...(i > 0 && { strokeDash: [5, 4] }),
              },
            },
            {
              mark: {
                type: 'text' as const,
                align: 'left' as const,
                baseline: i > 0 ? ('top' as const) : ('bottom' as const),
                dy: i > 0 ? 4 : -4,
                x: 4,
                fill: 'currentColor',
              },
              encoding: { text: { field: 'text', type: 'nominal' as const } },
            },
          ],
        })),
      ],
    },
  };
}

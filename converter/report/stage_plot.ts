import type { StageErrors } from '../../verify/locate.ts';
import { numberText } from '../../verify/report_lines.ts';
import { clamp, COLORS, decades, SCHEMA, type Plot } from './plot.ts';
import { oneLine } from '../../ir/text/visible.ts';

/** Errors beyond are drawn here: a logarithm has no zero, and a value that is no number has no place. */
const DRAWN = [1e-9, 100] as const;

/** Pixels that a slanted label takes of the axis: where there are more, some are left out. */
const LABEL = 14;

/** How a phase is called in a plot: the decoder's stages come in the prompt and in what is read behind it. */
const PHASES = {
  vision: 'image tower',
  prefill: 'decoder, prompt',
  suffix: 'decoder, answer',
  masks: 'mask decoder',
} as const;

/** The error of every stage of a case beside the limit, in the order in which values flow; `width` in pixels. */
export function stagePlot({ case: verifyCase, limit, stages: given }: StageErrors, width: number): Plot {
  const stages = given.map((each) => ({ ...each, stage: oneLine(each.stage) }));
  const values = stages.map(({ phase, stage, relativeL2, passed }) => ({
    phase: PHASES[phase],
    stage,
    error: clamp(relativeL2, ...DRAWN, DRAWN[1]),
    verdict: passed ? 'within the limit' : 'beyond the limit',
  }));
  const order = [...new Set(values.map(({ stage }) => stage))];
  const phases = Object.values(PHASES).filter((phase) => values.some((value) => value.phase === phase));
  const beyond = stages.filter(({ passed }) => !passed);
  const worst = stages.reduce((a, b) => (b.relativeL2 > a.relativeL2 || Number.isNaN(b.relativeL2) ? b : a));
  // the limit is no edge of the plot
  const above = 10 * limit;
  const axis = { format: '.0e', values: decades([...values.map(({ error }) => error), above]) };
  const x = {
    field: 'stage',
    type: 'ordinal' as const,
    sort: order,
    title: null,
    axis: { labelAngle: order.length > 6 ? -45 : 0, labelOverlap: order.length * LABEL > width },
  };
  const y = {
    field: 'error',
    type: 'quantitative' as const,
    title: 'relative L2 error',
    scale: { type: 'log' as const, domainMax: Math.max(above, ...values.map(({ error }) => error)) },
    axis,
  };
  const shape = {
    field: 'phase',
    type: 'nominal' as const,
    sort: phases,
    title: null,
    // the line of the same colours is lighter than its points, and the legend shows points
    legend: { columns: width < 400 ? 1 : phases.length, symbolOpacity: 1 },
  };
  return {
    name: 'stages',
    title: 'Error of every stage',
    description: `Relative L2 of ${stages.length} stages of the case "${oneLine(verifyCase)}" beside the limit ${numberText(limit)}, in the order in which values flow: ${
      beyond.length === 0 ? 'all are within it' : `${beyond.length} are beyond it, the first at ${beyond[0]!.stage}`
    }; the largest is ${numberText(worst.relativeL2)}, at ${worst.stage}.`,
    spec: {
      $schema: SCHEMA,
      width,
      height: 260,
      layer: [
        {
          data: { values },
          mark: { type: 'line', strokeWidth: 1.5, opacity: 0.7 },
          encoding: { x, y, color: { ...shape, scale: { range: COLORS } } },
        },
        {
          data: { values: values.filter(({ verdict }) => verdict === 'within the limit') },
          mark: { type: 'point', filled: true, size: 55, opacity: 1 },
          encoding: { x, y, color: { ...shape, scale: { range: COLORS } } },
        },
        {
          data: { values: values.filter(({ verdict }) => verdict === 'beyond the limit') },
          mark: { type: 'point', filled: true, size: 110, opacity: 1, shape: 'cross', fill: BAD, stroke: BAD },
          encoding: { x, y },
        },
        {
          data: { values: [{ limit, text: `limit ${numberText(limit)}` }] },
          encoding: { y: { field: 'limit', type: 'quantitative' } },
          layer: [
            { mark: { type: 'rule', stroke: BAD, strokeWidth: 1.5, strokeDash: [6, 4] } },
            {
              mark: { type: 'text', align: 'left', baseline: 'bottom', dy: -4, x: 4, fill: 'currentColor' },
              encoding: { text: { field: 'text', type: 'nominal' } },
            },
          ],
        },
      ],
    },
  };
}

const BAD = COLORS[4]!;

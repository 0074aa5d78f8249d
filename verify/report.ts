import Table from 'cli-table3';
import type { BoundVerdict, Check } from './check.ts';
import type { MetricName } from './tolerances.ts';
import type { VerifyReport } from './verify.ts';

/** JSON of a report: numbers that JSON does not have are written as strings, never as null. */
export function reportJson(report: VerifyReport): string {
  return JSON.stringify(
    report,
    (_, value: unknown) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value),
    2,
  );
}

const COLUMNS: readonly (readonly [MetricName, string])[] = [
  ['maxAbs', 'max abs'],
  ['relativeL2', 'rel L2'],
  ['cosine', 'cosine'],
  ['meanKld', 'mean KLD'],
  ['sameTop1', 'same top-1'],
];

/**
 * A report for people: a line for each check, then what failed and where it began. No colours: it also goes to files.
 */
export function reportText(report: VerifyReport): string {
  const table = new Table({
    head: ['case', 'output', ...COLUMNS.map(([, title]) => title), ''],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const check of report.checks)
    table.push([
      check.case,
      check.output,
      ...COLUMNS.map(([metric]) => metricText(metric, check.metrics[metric])),
      check.passed ? 'ok' : 'FAILED',
    ]);
  const failures = report.checks.filter(({ passed }) => !passed).flatMap(failureLines);
  const ties = report.greedyDifferences
    .filter(({ tie }) => tie)
    .map(
      (d) =>
        `tie: ${d.case}, row ${d.row}, step ${d.step}: token ${d.candidate} instead of ${d.reference}, which led by ${d.lead.toPrecision(3)}`,
    );
  const verdict = report.passed ? 'passed' : 'FAILED';
  return [
    `${report.candidate} against ${[report.reference, report.original].filter(Boolean).join(' and ')}, ${report.precision}:`,
    table.toString(),
    ...failures,
    ...divergenceLines(report),
    ...ties,
    `verification ${verdict}: ${report.checks.filter((c) => c.passed).length} of ${report.checks.length} checks in ${report.seconds.toFixed(1)} s`,
  ].join('\n');
}

const PLAIN = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
) as Record<string, string>;

function metricText(metric: MetricName, value: number | undefined): string {
  if (value === undefined) return '';
  if (metric === 'sameTop1') return `${(100 * value).toFixed(2)} %`;
  return metric === 'cosine' ? value.toFixed(7) : numberText(value);
}

function numberText(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(1);
}

function failureLines(check: Check): string[] {
  const where = `${check.case}, ${check.output}${check.at ? ` at [${check.at.join(', ')}]` : ''}`;
  const lines = check.bounds
    .filter(({ passed }) => !passed)
    .map((bound) => `failed: ${where}: ${boundText(bound)} (${bound.reason})`);
  if (check.note) lines.push(`${lines.length === 0 ? 'failed' : 'note'}: ${where}: ${check.note}`);
  return lines;
}

function boundText({ metric, value, atMost, atLeast }: BoundVerdict): string {
  return `${metric} is ${numberText(value)}, ${atMost === undefined ? `at least ${numberText(atLeast!)}` : `at most ${numberText(atMost)}`} is allowed`;
}

function divergenceLines({ firstDivergingStage }: VerifyReport): string[] {
  if (!firstDivergingStage) return [];
  const { phase, stage, metric, value, limit, stages } = firstDivergingStage;
  const before = stages.findIndex((s) => s.phase === phase && s.stage === stage) - 1;
  const last = stages[before];
  const agreed = last ? `; ${last.phase} ${last.stage} still agreed (${numberText(last.relativeL2)})` : '';
  return [
    `first divergence: ${firstDivergingStage.case}, ${phase}, stage ${stage}: ${metric} ${numberText(value)}, limit ${numberText(limit)}${agreed}`,
  ];
}

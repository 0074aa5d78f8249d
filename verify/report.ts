import Table from 'cli-table3';
import { visible } from '../ir/text/visible.ts';
import { baselineLines, baselineTitle } from './baseline.ts';
import { linkLines } from './links.ts';
import {
  deviceLines,
  failureLines,
  firstLines,
  metricTexts,
  noteLines,
  SHOWN_METRICS,
  subjectLine,
  verdictLine,
} from './report_lines.ts';
import type { VerifyReport } from './verify.ts';

/**
 * A report for people, in lines: one for each check, then what failed and where it began. No colours: it also goes to
 * files.
 */
export function reportLines(report: VerifyReport): readonly string[] {
  const table = new Table({
    head: ['case', 'output', ...SHOWN_METRICS.map(([, title]) => title), 'verdict'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const check of report.checks)
    table.push([...[check.case, check.output].map(visible), ...metricTexts(check), check.passed ? 'ok' : 'FAILED']);
  return [
    `${subjectLine(report)}:`,
    ...deviceLines(report),
    ...table.toString().split('\n'),
    ...failureLines(report),
    ...firstLines(report),
    ...noteLines(report),
    ...(report.links ? linkLines(report.links) : []),
    ...(report.baseline ? [...baselineLines(report.baseline), baselineTitle(report.baseline)] : []),
    verdictLine(report),
  ];
}

/** The same as one text, for messages. */
export function reportText(report: VerifyReport): string {
  return reportLines(report).join('\n');
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

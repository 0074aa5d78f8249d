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
import { linesOf, TextTable, type Line } from './text_table.ts';
import type { VerifyReport } from './verify.ts';

/**
 * A report for people, in lines: one for each check, then what failed and where it began. No colours: it also goes to
 * files.
 */
export function reportLines(report: VerifyReport): readonly Line[] {
  const table = new TextTable(
    ['case', 'output', ...SHOWN_METRICS.map(([, title]) => title), 'verdict'],
    report.checks.map((check) => [check.case, check.output, ...metricTexts(check), check.passed ? 'ok' : 'FAILED']),
    { plain: true },
  );
  return [
    `${subjectLine(report)}:`,
    ...deviceLines(report),
    table,
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
  return linesOf(reportLines(report)).join('\n');
}

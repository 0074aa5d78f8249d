import type { Line } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';
import { columnsOf, misses } from './columns.ts';
import { differingCases } from './differing_answers.ts';
import type { QualityReport } from './report.ts';
import { headLines, missLines, rangeLine, stageLine } from './report_lines.ts';

/** A report for people on a terminal, in lines, without colours. A missed target has a `!` behind its value. */
export function reportLines(report: QualityReport): readonly Line[] {
  const { variants } = report;
  const columns = columnsOf(report);
  const rows = variants.map((variant) =>
    columns.map((column) => `${column.text(variant)}${misses(column, variant) ? ' !' : ''}`),
  );
  const right = columns.flatMap(({ title }, i) => (title === 'dtype' || title === 'targets' ? [] : [i]));
  const differing = differingCases(report).length;
  const answers =
    differing === 0
      ? []
      : [
          `${differing} of ${report.cases.count} cases are not answered by every dtype as f32 answers them: the page shows them side by side`,
        ];
  return [
    ...headLines(report),
    ...(rows.length > 0
      ? [
          table(
            columns.map(({ title }) => title),
            rows,
            right,
          ),
        ]
      : []),
    ...missLines(report).map((line) => `missed: ${line}`),
    ...variants.map(stageLine),
    rangeLine(report) ?? [],
    ...answers,
  ].flat();
}

import { table } from '../commands/table.ts';
import { COLUMNS, misses } from './columns.ts';
import type { QualityReport } from './report.ts';
import { headLines, missLines, rangeLine, stageLine } from './report_lines.ts';

/** Differing answers that are shown for each variant; the HTML report has all. */
const SHOWN = 3;

/** A report for people on a terminal. No colours: it also goes to files. A missed target has a `!` behind its value. */
export function reportText(report: QualityReport): string {
  const { variants } = report;
  const rows = variants.map((variant) => COLUMNS.map((column) => `${column.text(variant)}${misses(column, variant) ? ' !' : ''}`));
  const right = COLUMNS.flatMap(({ title }, i) => (title === 'dtype' || title === 'targets' ? [] : [i]));
  const answers = variants.flatMap(({ label, different }) => different.slice(0, SHOWN).map(({ case: name, prompt, reference, answer, verdict }) => `${label}, ${name} "${prompt}": "${answer}" for "${reference}"${verdict === 'tie' ? ' (from a tie on)' : ''}`));
  return [...headLines(report), ...(rows.length > 0 ? [table(COLUMNS.map(({ title }) => title), rows, right)] : []), ...missLines(report).map((line) => `missed: ${line}`), ...variants.map(stageLine), rangeLine(report) ?? [], ...answers].flat().join('\n');
}

import { COLUMNS, misses } from './columns.ts';
import type { Plot } from './plots.ts';
import type { QualityReport } from './report.ts';
import { headLines, missLines, rangeLine, stageLine } from './report_lines.ts';

/**
 * The report as a page of documentation. `command` is the line that makes it again; `pictures` are paths of the plots, from the
 * page. Missed targets are bold.
 */
export function reportMarkdown(report: QualityReport, command: string, plots: readonly Plot[], pictures: readonly string[]): string {
  const { variants, tool } = report;
  const rows = variants.map((variant) => COLUMNS.map((column) => (misses(column, variant) || (column.title === 'targets' && !variant.passed) ? `**${column.text(variant)}**` : column.text(variant))));
  const lines = [
    '# Quality',
    '',
    `Written by ${tool.name} ${tool.version}; this makes it again:`,
    '',
    '```sh',
    command,
    '```',
    '',
    ...headLines(report).flatMap((line) => [escapeMarkdown(line), '']),
    ...markdownTable(COLUMNS.map(({ title }) => title), rows),
    '',
    ...missLines(report).map((line) => `- missed: ${escapeMarkdown(line)}`),
    '',
    ...COLUMNS.filter(({ about }) => about !== '').map(({ title, about }) => `- **${title}**: ${about}`),
    '',
    ...plots.flatMap(({ title, description }, i) => [`## ${title}`, '', `![${description.replaceAll(/[[\]]/g, '')}](${pictures[i]!})`, '', escapeMarkdown(description), '']),
    '## Where errors grow',
    '',
    ...[...variants.map(stageLine), rangeLine(report) ?? []].flat().map((line) => `- ${escapeMarkdown(line)}`),
    '',
    '## Answers that differ',
    '',
    ...answers(report),
  ];
  return `${lines.join('\n').replaceAll(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

function answers({ variants }: QualityReport): readonly string[] {
  const rows = variants.flatMap(({ label, different }) => different.map(({ case: name, prompt, reference, answer, truth, verdict }) => [label, name, prompt, code(reference), code(answer), code(truth ?? ''), verdict === 'tie' ? 'from a tie on' : verdict]));
  return rows.length === 0 ? ['None.'] : markdownTable(['dtype', 'picture', 'prompt', 'f32 says', 'this says', 'right', 'tokens'], rows);
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`);
}

/** Location tokens look like HTML. */
function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('`', "'")}\``;
}

function escapeMarkdown(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('*', '\\*');
}

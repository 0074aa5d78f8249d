import { COLUMNS, misses } from './columns.ts';
import { answerText, differingCases } from './differing_answers.ts';
import type { Plot } from './plots.ts';
import type { QualityReport } from './report.ts';
import { headLines, missLines, rangeLine, stageLine } from './report_lines.ts';

/**
 * The report as a page of documentation. `command` is the line that makes it again; `pictures` are paths of the plots,
 * from the page. Missed targets are bold.
 */
export function reportMarkdown(
  report: QualityReport,
  command: string,
  plots: readonly Plot[],
  pictures: readonly string[],
): string {
  const { variants, tool } = report;
  const rows = variants.map((variant) =>
    COLUMNS.map((column) =>
      misses(column, variant) || (column.title === 'targets' && !variant.passed)
        ? `**${column.text(variant)}**`
        : column.text(variant),
    ),
  );
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
    ...markdownTable(
      COLUMNS.map(({ title }) => title),
      rows,
    ),
    '',
    ...missLines(report).map((line) => `- missed: ${escapeMarkdown(line)}`),
    '',
    ...COLUMNS.filter(({ about }) => about !== '').map(({ title, about }) => `- **${title}**: ${about}`),
    '',
    ...plots.flatMap(({ title, description }, i) => [
      `## ${title}`,
      '',
      `![${title}](${pictures[i]!})`,
      '',
      escapeMarkdown(description),
      '',
    ]),
    '## Where errors grow',
    '',
    ...[...variants.map(stageLine), rangeLine(report) ?? []].flat().map((line) => `- ${escapeMarkdown(line)}`),
    '',
    '## Answers that differ',
    '',
    ...answers(report),
  ];
  return `${lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
}

function answers(report: QualityReport): readonly string[] {
  const cases = differingCases(report);
  if (cases.length === 0) return ['None.'];
  const rows = cases.map(({ case: name, prompt, truth, reference, answers: given }) => [
    name,
    prompt,
    code(truth ?? ''),
    code(reference),
    ...given.map((answer) => (answer ? code(answerText(answer)) : 'the same')),
  ]);
  return markdownTable(['picture', 'prompt', 'right', 'f32', ...report.variants.map(({ label }) => label)], rows);
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [head, head.map(() => '---'), ...rows].map(
    (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`,
  );
}

/** Location tokens look like HTML. */
function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('`', "'")}\``;
}

function escapeMarkdown(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('*', '\\*');
}

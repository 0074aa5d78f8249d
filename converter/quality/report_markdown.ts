import { columnsOf, misses } from './columns.ts';
import { answerText, differingCases } from './differing_answers.ts';
import { markdownCode, markdownTable, markdownText } from '../../ir/text/markdown.ts';
import type { Plot } from '../report/plot.ts';
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
  const columns = columnsOf(report);
  const rows = variants.map((variant) =>
    columns.map((column) =>
      misses(column, variant) || (column.title === 'targets' && !variant.passed)
        ? `**${markdownText(column.text(variant))}**`
        : markdownText(column.text(variant)),
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
    ...headLines(report).flatMap((line) => [markdownText(line), '']),
    ...markdownTable(
      columns.map(({ title }) => title),
      rows,
    ),
    '',
    ...missLines(report).map((line) => `- missed: ${markdownText(line)}`),
    '',
    ...columns.filter(({ about }) => about !== '').map(({ title, about }) => `- **${title}**: ${about}`),
    '',
    ...plots.flatMap(({ title, description }, i) => [
      `## ${title}`,
      '',
      `![${markdownText(title)}](${address(pictures[i]!)})`,
      '',
      markdownText(description),
      '',
    ]),
    '## Where errors grow',
    '',
    ...[...variants.map(stageLine), rangeLine(report) ?? []].flat().map((line) => `- ${markdownText(line)}`),
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
    markdownCode(name),
    markdownCode(prompt),
    markdownCode(truth ?? ''),
    markdownCode(reference),
    ...given.map((answer) => (answer ? markdownCode(answerText(answer)) : 'the same')),
  ]);
  const labels = report.variants.map(({ label }) => markdownText(label));
  return markdownTable(['picture', 'prompt', 'right', 'f32', ...labels], rows);
}

/** A path as the address of a link. */
function address(path: string): string {
  return path
    .split('/')
    .map(encodeURIComponent)
    .join('/')
    .replaceAll(/[()]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

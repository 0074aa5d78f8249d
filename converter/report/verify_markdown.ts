import { baselineLines, baselineTitle } from '../../verify/baseline.ts';
import { LINKS, linkFigures } from '../../verify/links.ts';
import {
  deviceLines,
  failedChecks,
  firstLines,
  metricTexts,
  noteLines,
  SHOWN_METRICS,
  subjectLine,
  verdictLine,
} from '../../verify/report_lines.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { adviceOf } from './advice.ts';
import { markdownBlock, markdownCode, markdownTable, markdownText } from '../../ir/text/markdown.ts';
import { errorLines, verdictOf, type Subject } from './subject.ts';

/** A part of a report, and what it is called where there is no room for it. */
interface Part {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Bytes that say what was left out. */
const REST_BYTES = 500;

/**
 * A report in GitHub's Markdown, for a comment or the summary of a job: what failed first, then all comparisons. Parts
 * for which there is no room are left out, and named.
 * @param room bytes; default as many as it needs
 */
export function verifyMarkdown(subject: Subject, room = Infinity): string {
  const verdict = verdictOf(subject);
  const heading = `## ${markdownCode(subject.bundle)}: ${verdict === 'passed' ? verdict : verdict.toUpperCase()}`;
  const parts: readonly Part[] =
    'error' in subject
      ? [
          {
            name: 'what stopped it',
            lines: ['The verification did not come to a verdict.', '', ...markdownBlock(errorLines(subject.error))],
          },
        ]
      : reportParts(subject.report);
  const whole = textOf([heading, '', ...parts.flatMap(({ lines }) => [...lines, ''])]);
  if (bytesOf(whole) <= room) return whole;
  let left = room - REST_BYTES - bytesOf(heading);
  const kept = [heading, ''];
  const missing: string[] = [];
  for (const { name, lines } of parts) {
    const bytes = bytesOf(textOf(lines)) + 2;
    if (bytes > left) missing.push(name);
    else {
      left -= bytes;
      kept.push(...lines, '');
    }
  }
  const text = textOf([...kept, `There is no room here for ${missing.join(', ')}.`]);
  return bytesOf(text) <= room ? text : '';
}

function textOf(lines: readonly string[]): string {
  return `${lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

function reportParts(report: VerifyReport): readonly Part[] {
  const first = [...firstLines(report), ...failedChecks(report).map((line) => `failed: ${line}`)];
  return [
    {
      name: 'the verdict',
      lines: [
        markdownText(`${subjectLine(report)}; ${verdictLine(report)}.`),
        '',
        ...deviceLines(report).map(markdownText),
      ],
    },
    { name: 'the links', lines: linksTable(report) },
    { name: 'what differs first', lines: headed('### What differs first', markdownBlock(first)) },
    { name: 'the baseline', lines: baselinePart(report) },
    {
      name: 'what to try',
      lines: headed(
        '### What to try',
        adviceOf(report).map((line) => `- ${markdownText(line)}`),
      ),
    },
    { name: 'the comparisons', lines: folded('Every comparison', checksTable(report)) },
    { name: 'notes', lines: markdownBlock(noteLines(report)) },
  ];
}

function linksTable({ links }: VerifyReport): readonly string[] {
  if (!links) return [];
  const rows = LINKS.map((name) => {
    const { verdict } = links[name];
    return [name, verdict === 'failed' ? '**FAILED**' : verdict, markdownText(linkFigures(name, links[name]))];
  });
  return markdownTable(['link', 'verdict', 'what was compared'], rows);
}

function baselinePart({ baseline }: VerifyReport): readonly string[] {
  if (!baseline) return [];
  return [
    '### Baseline',
    '',
    markdownText(`${baselineTitle(baseline)}.`),
    '',
    ...markdownBlock(baselineLines(baseline)),
  ];
}

function checksTable({ checks }: VerifyReport): readonly string[] {
  const rows = checks.map((check) => [
    markdownCode(check.case),
    markdownCode(check.output),
    ...metricTexts(check).map(markdownText),
    check.passed ? 'ok' : '**FAILED**',
  ]);
  const titles = SHOWN_METRICS.map(([, title]) => title);
  return markdownTable(
    ['case', 'output', ...titles, 'verdict'],
    rows,
    titles.map((_, i) => i + 2),
  );
}

function headed(heading: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [heading, '', ...lines];
}

/** GitHub shows what is in it as Markdown when an empty line is before. */
function folded(title: string, lines: readonly string[]): readonly string[] {
  return [`<details><summary>${title}</summary>`, '', ...lines, '', '</details>'];
}

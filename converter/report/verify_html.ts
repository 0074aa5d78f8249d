import { baselineLines, baselineTitle } from '../../verify/baseline.ts';
import { LINKS, linkFigures, type LinkVerdict } from '../../verify/links.ts';
import {
  deviceLines,
  failedChecks,
  firstLines,
  metricTexts,
  noteLines,
  numberText,
  SHOWN_METRICS,
  stagesOf,
  subjectLine,
  verdictLine,
} from '../../verify/report_lines.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { TOOL } from '../version.ts';
import { adviceOf } from './advice.ts';
import { escapeMarkup } from '../../ir/text/escape_markup.ts';
import { htmlList, htmlTable, paragraph } from './html.ts';
import { htmlPage } from './html_page.ts';
import { renderSvg } from './render_svg.ts';
import { stagePlot } from './stage_plot.ts';
import { errorLines, verdictOf, type Subject } from './subject.ts';

/** Widths of the plot in pixels: drawn twice, since text of a picture that shrinks with the screen cannot be read. */
const WIDE = 860;
const NARROW = 270;

const STYLE = `
.links{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,16rem),1fr));padding:0;list-style:none}
.links li{border:1px solid var(--line);border-left-width:.4rem;border-radius:.4rem;padding:.7rem 1rem;max-width:none}
.links .held{border-left-color:var(--good)}.links .failed{border-left-color:var(--bad)}
.links h3{margin:0;font-size:1rem}.links p{margin:.3rem 0 0}
.verdict{font-size:1.1rem}
pre{background:var(--soft);border:1px solid var(--line);border-radius:.4rem;padding:.7rem 1rem;white-space:pre-wrap;margin:.7rem 0}
tr:has(td.missed) th{color:var(--bad)}
.narrow{display:none}@media (max-width:60rem){.wide{display:none}.narrow{display:block}}
`;

/** A report as one page that needs nothing else: its style and plots are inside, and there is no script. */
export async function verifyHtml(subject: Subject): Promise<string> {
  const title = `${subject.bundle}: ${verdictOf(subject)}`;
  const footer = `<footer>${paragraph(`Made by ${TOOL.name} ${TOOL.version}.`)}</footer>`;
  const sections =
    'error' in subject
      ? [paragraph('The verification did not come to a verdict.'), block(errorLines(subject.error))]
      : await reportSections(subject.report);
  return htmlPage(title, [heading(subject), ...sections, footer], STYLE);
}

function heading(subject: Subject): string {
  const verdict = verdictOf(subject);
  return `<h1>${escapeMarkup(subject.bundle)}: <span class="${verdict === 'passed' ? 'met' : 'missed'}">${verdict === 'passed' ? verdict : verdict.toUpperCase()}</span></h1>`;
}

async function reportSections(report: VerifyReport): Promise<readonly string[]> {
  const first = firstLines(report);
  return [
    paragraph(`${subjectLine(report)}.`),
    ...deviceLines(report).map(paragraph),
    `<p class="verdict">${escapeMarkup(verdictLine(report))}.</p>`,
    linksSection(report),
    first.length > 0 ? `<h2 id="first">What differs first</h2>\n${block(first)}` : '',
    titled('try', 'What to try', htmlList(adviceOf(report))),
    await plotSection(report),
    baselineSection(report),
    titled('comparisons', 'Every comparison', checksTable(report)),
    folded('What is beyond its limit, and where', htmlList(failedChecks(report))),
    boundsTable(report),
    titled('notes', 'Notes', htmlList(noteLines(report))),
  ];
}

/** A section where there is something in it. */
function titled(id: string, title: string, content: string): string {
  return content === '' ? '' : `<h2 id="${id}">${escapeMarkup(title)}</h2>\n${content}`;
}

function folded(summary: string, content: string): string {
  return content === '' ? '' : `<details><summary>${escapeMarkup(summary)}</summary>${content}</details>`;
}

function block(lines: readonly string[]): string {
  return `<pre>${lines.map(escapeMarkup).join('\n')}</pre>`;
}

const CLASSES: Readonly<Record<LinkVerdict, string>> = { held: 'met', failed: 'missed', 'not tried': 'dim' };

function linksSection({ links }: VerifyReport): string {
  if (!links) return '';
  const cards = LINKS.map((name) => {
    const { verdict } = links[name];
    return `<li class="${verdict.replace(' ', '-')}"><h3>${name}: <span class="${CLASSES[verdict]}">${verdict === 'failed' ? 'FAILED' : verdict}</span></h3>${paragraph(linkFigures(name, links[name]))}</li>`;
  });
  return `<ul class="links">${cards.join('')}</ul>`;
}

async function plotSection(report: VerifyReport): Promise<string> {
  const errors = stagesOf(report);
  if (!errors) return '';
  const [wide, narrow] = [stagePlot(errors, WIDE), stagePlot(errors, NARROW)];
  const rows = errors.stages.map(({ phase, stage, relativeL2, maxAbs, passed }) => [
    stage,
    phase,
    { text: numberText(relativeL2), ...(!passed && { className: 'missed' }) },
    numberText(errors.limit),
    numberText(maxAbs),
  ]);
  const numbers = htmlTable(
    'Error of every stage',
    ['stage', 'phase', 'rel L2', 'limit', 'max abs'].map((title) => ({ title })),
    rows,
  );
  return `<h2 id="${wide.name}">${escapeMarkup(wide.title)}</h2>\n<figure><div class="wide">${await renderSvg(wide)}</div><div class="narrow">${await renderSvg(narrow)}</div><figcaption>${escapeMarkup(wide.description)}</figcaption></figure>\n${folded('Every stage in numbers', numbers)}`;
}

function baselineSection({ baseline }: VerifyReport): string {
  if (!baseline) return '';
  const lines = baselineLines(baseline);
  return titled(
    'baseline',
    'Baseline',
    `${paragraph(`${baselineTitle(baseline)}. It was measured in ${baseline.candidate}.`)}${htmlList(lines, 'missed')}`,
  );
}

function checksTable({ checks }: VerifyReport): string {
  const rows = checks.map((check) => [
    check.case,
    check.passed ? { text: 'ok', className: 'met' } : { text: 'FAILED', className: 'missed' },
    check.output,
    ...metricTexts(check),
  ]);
  if (rows.length === 0) return '';
  const head = ['case', 'verdict', 'output', ...SHOWN_METRICS.map(([, title]) => title)];
  return htmlTable(
    'Comparisons with the reference, and of the bundle with itself',
    head.map((title) => ({ title })),
    rows,
  );
}

function boundsTable({ checks }: VerifyReport): string {
  const rows = checks.flatMap((check) =>
    check.bounds.map(({ metric, value, atMost, atLeast, passed, reason }) => [
      check.case,
      check.output,
      metric,
      numberText(value),
      atMost === undefined ? `≥ ${atLeast}` : `≤ ${numberText(atMost)}`,
      passed ? { text: 'ok', className: 'met' } : { text: 'FAILED', className: 'missed' },
      { text: reason, className: 'text' },
    ]),
  );
  if (rows.length === 0) return '';
  const head = ['case', 'output', 'metric', 'measured', 'limit', 'verdict', 'why this limit'];
  const limits = htmlTable(
    'Limits',
    head.map((title) => ({ title })),
    rows,
  );
  return folded('Every limit, and why it stands', limits);
}

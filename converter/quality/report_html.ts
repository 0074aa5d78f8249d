import { columnsOf, misses, scientific, type Column } from './columns.ts';
import { answerText, differingCases } from './differing_answers.ts';
import { escapeMarkup } from '../../ir/text/escape_markup.ts';
import { htmlList, htmlTable, paragraph } from '../report/html.ts';
import { htmlPage } from '../report/html_page.ts';
import type { Plot } from '../report/plot.ts';
import type { QualityReport, VariantResult } from './report.ts';
import { headLines, missLines, rangeLine, stageLine } from './report_lines.ts';

/** Values of which the report tells the range in numbers: the largest. */
const LISTED_RANGES = 20;

/**
 * One page that needs nothing else: style and plots are inside, and there is no script. `svgs` are the plots' pictures.
 */
export function reportHtml(report: QualityReport, plots: readonly Plot[], svgs: readonly string[]): string {
  const { variants, checkpoint, tool } = report;
  const columns = columnsOf(report);
  const title = `Quality of ${checkpoint.join(', ')}`;
  const figures = plots.map(
    ({ name, title: heading, description }, i) =>
      `<h2 id="${name}">${escapeMarkup(heading)}</h2>\n<figure>${svgs[i]!}<figcaption>${escapeMarkup(description)}</figcaption></figure>`,
  );
  const sections = [
    `<h1>${escapeMarkup(title)}</h1>`,
    ...headLines(report).map(paragraph),
    mainTable(columns, variants),
    htmlList(missLines(report), 'missed'),
    `<details><summary>What the columns are</summary><dl>${columns.map(({ title: name, about }) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(about)}</dd>`).join('')}</dl></details>`,
    targetsTable(variants),
    ...figures,
    stagesSection(variants),
    rangesSection(report),
    answersSection(report),
    `<footer>${paragraph(`Made by ${tool.name} ${tool.version}.`)}</footer>`,
  ];
  return htmlPage(title, sections);
}

function mainTable(columns: readonly Column[], variants: readonly VariantResult[]): string {
  const rows = variants.map((variant) =>
    columns.map((column) => {
      const className =
        column.title === 'targets'
          ? variant.passed
            ? 'met'
            : 'missed'
          : misses(column, variant)
            ? 'missed'
            : undefined;
      return { text: column.text(variant), ...(className !== undefined && { className }) };
    }),
  );
  return htmlTable('Every dtype beside f32', columns, rows);
}

function targetsTable(variants: readonly VariantResult[]): string {
  const rows = variants.flatMap(({ label, verdicts }) =>
    verdicts.map(({ metric, value, atMost, atLeast, passed, reason }) => [
      label,
      metric,
      scientific(value),
      atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`,
      { text: passed ? 'met' : 'MISSED', className: passed ? 'met' : 'missed' },
      { text: reason, className: 'text' },
    ]),
  );
  return `<details><summary>Targets</summary>${htmlTable(
    'Targets and what was measured',
    ['dtype', 'metric', 'measured', 'target', 'verdict', 'from'].map((name) => ({ title: name })),
    rows,
  )}</details>`;
}

function stagesSection(variants: readonly VariantResult[]): string {
  const rows = variants.flatMap(({ label, stages, stageLimit }) =>
    stages.map(({ phase, stage, snr, cosine }) => [
      label,
      phase === 'suffix' ? 'answer' : phase,
      stage,
      { text: snr.toFixed(1), ...(!(snr >= stageLimit) && { className: 'missed' }) },
      cosine.toFixed(7),
    ]),
  );
  return `${htmlList(variants.map(stageLine))}<details><summary>Every stage in numbers</summary>${htmlTable(
    'SNR and cosine of every stage',
    ['dtype', 'phase', 'stage', 'SNR (dB)', 'cosine'].map((name) => ({ title: name })),
    rows,
  )}</details>`;
}

function rangesSection(report: QualityReport): string {
  const { ranges } = report;
  if (!ranges) return '';
  const largest = ranges.values.toSorted((a, b) => b.absMax - a.absMax).slice(0, LISTED_RANGES);
  const findings = ranges.findings.map(({ graph, value, kind, range, kept }) => [
    `${graph} ${value}`,
    kind,
    range.absMax.toPrecision(4),
    kept ? 'stays f32 with --calibrate' : 'is lost',
  ]);
  return [
    paragraph(`${rangeLine(report)!}.`),
    findings.length > 0
      ? htmlTable(
          'Near the limit',
          ['value', 'what', 'largest magnitude', 'what becomes of it'].map((name) => ({ title: name })),
          findings,
        )
      : '',
    `<details><summary>The largest in numbers</summary>${htmlTable(
      'Largest activations that fp16 rounds',
      ['value', 'largest magnitude'].map((name) => ({ title: name })),
      largest.map(({ graph, value, absMax }) => [`${graph} ${value}`, absMax.toPrecision(4)]),
    )}</details>`,
  ].join('');
}

function answersSection(report: QualityReport): string {
  const cases = differingCases(report);
  const heading = '<h2 id="answers">Answers that differ</h2>';
  if (cases.length === 0) return `${heading}${paragraph('None: every dtype answers every case as f32 does.')}`;
  const text = (content: string, className = 'text') => ({ text: content, className });
  const rows = cases.map(({ case: name, prompt, truth, reference, minMargin, answers }) => [
    name,
    text(prompt),
    text(truth ?? ''),
    text(reference),
    minMargin?.toFixed(3) ?? '',
    ...answers.map((answer) => text(answerText(answer), answer ? 'text missed' : 'text')),
  ]);
  const head = [
    'picture',
    'prompt',
    'right',
    'f32',
    'least lead of f32',
    ...report.variants.map(({ label }) => label),
  ].map((name) => ({ title: name }));
  return `${heading}${htmlTable('Cases that not every dtype answers as f32 does', head, rows)}`;
}

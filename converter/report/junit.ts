import { deviceLine } from '../../backends/device_facts.ts';
import { LINKS, linkFigures, type Link } from '../../verify/links.ts';
import { failedChecks, noteLines, stageLines, subjectLine, verdictLine } from '../../verify/report_lines.ts';
import { weightsLines } from '../../verify/weights/report.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { baselineLines, baselineTitle } from '../../verify/baseline.ts';
import { adviceOf } from './advice.ts';
import { errorLines, type Subject } from './subject.ts';
import { escapeMarkup } from '../../ir/text/escape_markup.ts';
import { xmlElement } from './xml.ts';

/** One test of a suite. */
interface Test {
  readonly name: string;
  readonly seconds?: number;
  readonly result: 'passed' | 'failure' | 'error' | 'skipped';
  /** In a line. */
  readonly message?: string;
  readonly type?: string;
  /** All there is to know. */
  readonly text?: readonly string[];
}

/**
 * A report as JUnit's XML, which CI services show. A link is a test: one fault fails many comparisons, and should be
 * read once, with the stage where it begins. Links that were not tried are skipped tests.
 */
export function junitXml(subject: Subject): string {
  const tests = 'error' in subject ? [errorTest(subject.error)] : testsOf(subject.report);
  const count = (result: Test['result']) => tests.filter((test) => test.result === result).length;
  const seconds = 'error' in subject ? 0 : secondsOf(subject.report);
  const totals = {
    tests: tests.length,
    failures: count('failure'),
    errors: count('error'),
    skipped: count('skipped'),
    time: seconds.toFixed(3),
  };
  const suite = xmlElement(
    'testsuite',
    { name: subject.bundle, ...totals },
    [
      '',
      ...('error' in subject ? [] : [properties(subject.report)]),
      ...tests.map((test) => testCase(subject.bundle, test)),
      '',
    ].join('\n'),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${xmlElement('testsuites', { name: 'pgconv verify', ...totals }, `\n${suite}\n`)}\n`;
}

function secondsOf({ seconds, weights }: VerifyReport): number {
  return seconds + (weights?.seconds ?? 0);
}

function properties({ candidate, device, reference, original, precision }: VerifyReport): string {
  const all = { candidate, device: device && deviceLine(device), reference, original, precision };
  const list = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [xmlElement('property', { name, value })],
  );
  return `<properties>${list.join('')}</properties>`;
}

function testsOf(report: VerifyReport): readonly Test[] {
  const { links, weights, seconds, baseline } = report;
  const ofLinks = LINKS.flatMap((name): readonly Test[] => {
    const link = links?.[name];
    if (!link) return [];
    const took = name === 'weights' ? weights?.seconds : link.verdict === 'not tried' ? undefined : seconds;
    const test = { name, ...(took !== undefined && { seconds: took }) };
    if (link.verdict === 'not tried') return [{ ...test, result: 'skipped', message: link.reason ?? '' }];
    if (link.verdict === 'held') return [{ ...test, result: 'passed', text: [linkFigures(name, link)] }];
    return [{ ...test, result: 'failure', type: 'parity_failed', ...failureOf(report, name, link) }];
  });
  if (!baseline) return ofLinks;
  const lines = baselineLines(baseline);
  const title = baselineTitle(baseline);
  return [
    ...ofLinks,
    baseline.passed
      ? { name: 'baseline', result: 'passed', text: [title] }
      : { name: 'baseline', result: 'failure', type: 'worse_than_baseline', message: title, text: lines },
  ];
}

function failureOf(report: VerifyReport, name: keyof NonNullable<VerifyReport['links']>, link: Link) {
  const { firstDivergingStage: stage, weights } = report;
  const figures = linkFigures(name, link);
  if (name === 'weights')
    return {
      message: `the bundle does not hold the checkpoint's weights: ${figures}`,
      text: [...(weights ? weightsLines(weights) : []), ...adviceLines(report)],
    };
  const first = stage ? `; the first stage that differs is ${stage.stage} (${stage.phase})` : '';
  return {
    message: `the bundle does not compute what the original computes: ${figures}${first}`,
    text: [
      subjectLine(report),
      ...stageLines(report),
      ...failedChecks(report).map((line) => `failed: ${line}`),
      ...noteLines(report),
      verdictLine(report),
      ...adviceLines(report),
    ],
  };
}

function adviceLines(report: VerifyReport): readonly string[] {
  return adviceOf(report).map((line) => `try: ${line}`);
}

function errorTest(error: Extract<Subject, { error: unknown }>['error']): Test {
  return {
    name: 'verification',
    result: 'error',
    type: error.code,
    message: error.message,
    text: errorLines(error),
  };
}

function testCase(suite: string, { name, seconds, result, message, type, text = [] }: Test): string {
  const body = text.map(escapeMarkup).join('\n');
  const content =
    result === 'passed'
      ? body === ''
        ? ''
        : xmlElement('system-out', {}, body)
      : xmlElement(result, { message, ...(result !== 'skipped' && { type }) }, body);
  return xmlElement('testcase', { classname: suite, name, time: seconds?.toFixed(3) }, content);
}

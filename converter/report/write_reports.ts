import { stat } from 'node:fs/promises';
import { appendText, replaceFile } from '../disk.js';
import { outputError } from '../output_error.ts';
import { junitXml } from './junit.ts';
import type { Subject } from './subject.ts';
import { verifyHtml } from './verify_html.ts';
import { verifyMarkdown } from './verify_markdown.ts';

/** Where reports go, by form: those that are asked for. */
export type ReportFiles = Partial<Readonly<Record<ReportForm, string>>>;

const FORMS = {
  junit: junitXml,
  html: verifyHtml,
  markdown: verifyMarkdown,
} as const satisfies Readonly<Record<string, (subject: Subject) => string | Promise<string>>>;

type ReportForm = keyof typeof FORMS;

/** The form's name is that of its option. */
export const REPORT_FORMS = Object.keys(FORMS) as readonly ReportForm[];

/** A report that was asked for and is not there. */
export interface Unwritten {
  readonly file: string;
  readonly error: unknown;
}

/** Writes every report that is asked for: one that cannot be written, or made, keeps none of the others back. */
export async function writeReports(files: ReportFiles, subject: Subject): Promise<readonly Unwritten[]> {
  const unwritten: Unwritten[] = [];
  for (const form of REPORT_FORMS) {
    const file = files[form];
    if (file === undefined) continue;
    try {
      await replaceFile(file, await FORMS[form](subject));
    } catch (error) {
      unwritten.push({ file, error: outputError(error, file, `--${form}`) });
    }
  }
  return unwritten;
}

/** Bytes that GitHub takes of a step's summary: of one that has more it shows nothing. */
const MOST_SUMMARY = 2 ** 20;

/**
 * Adds the report to the summary of a GitHub job, where this is one, as far as there is room. Returns what prevented
 * it: that is no failure of a verification.
 */
export async function writeJobSummary(
  subject: Subject,
  { GITHUB_STEP_SUMMARY: file }: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  if (!file) return undefined;
  try {
    const { size } = await stat(file).catch(() => ({ size: 0 }));
    const whole = verifyMarkdown(subject);
    const text = verifyMarkdown(subject, MOST_SUMMARY - size - 1);
    if (text !== '') await appendText(file, `${text}\n`);
    return text === whole
      ? undefined
      : `the summary of a step holds 1 MiB: ${text === '' ? 'the report' : 'what is said there of the report'} was left out, and --markdown writes all of it`;
  } catch (error) {
    return `cannot write to $GITHUB_STEP_SUMMARY: ${outputError(error, file).message}`;
  }
}

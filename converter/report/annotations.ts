import { LINKS, linkFigures } from '../../verify/links.ts';
import { baselineTitle } from '../../verify/baseline.ts';
import { verdictLine } from '../../verify/report_lines.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import type { ErrorReport } from '../errors.ts';
import { oneLine } from '../../ir/text/visible.ts';

/* Lines that GitHub makes annotations of, which stand on the page of a run: commands of its runner, on any stream. */

/** A line that GitHub's runner takes for a command, which no other line that is written can be. */
export class RunnerCommand {
  readonly line: string;

  constructor(line: string) {
    this.line = line;
  }
}

/** Whether this runs in a job of GitHub Actions. */
export function isGitHub({ GITHUB_ACTIONS: value }: Readonly<Record<string, string | undefined>>): boolean {
  return value === 'true';
}

/** Of a verification: an error for each link that failed, else a notice. */
export function reportAnnotations(bundle: string, report: VerifyReport): readonly RunnerCommand[] {
  const { links, baseline, firstDivergingStage: stage } = report;
  if (report.passed) return [annotation('notice', bundle, verdictLine(report))];
  const first = stage ? `; the first stage that differs is ${stage.stage} (${stage.phase})` : '';
  const failed = LINKS.filter((name) => links?.[name].verdict === 'failed').map((name) =>
    annotation('error', bundle, `${name} failed: ${linkFigures(name, links![name])}${name === 'weights' ? '' : first}`),
  );
  const worse = baseline?.passed === false ? [annotation('error', bundle, baselineTitle(baseline))] : [];
  return [...failed, ...worse];
}

/** Of what stopped a command. */
export function errorAnnotation({ code, message, hint }: ErrorReport): RunnerCommand {
  return annotation('error', code, hint === undefined ? message : `${message}; try: ${hint}`);
}

function annotation(level: 'error' | 'notice', title: string, message: string): RunnerCommand {
  return new RunnerCommand(
    `::${level} title=pgconv%3A ${escapeProperty(oneLine(title))}::${escapeData(oneLine(message))}`,
  );
}

/** As actions/toolkit has it. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

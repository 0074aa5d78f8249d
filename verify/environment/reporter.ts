import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestCase, TestModule, Vitest } from 'vitest/node';

/** What happened to the tests of one run. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** What failed, each with the first line of its error; a file that does not load is named alone. */
  readonly failures: readonly Named[];
  /** Tests that did not run, each with its reason. */
  readonly notRun: readonly Named[];
}

interface Named {
  readonly test: string;
  readonly reason: string;
}

/**
 * Closes the output of `npm test` with what failed, the tests that did not run and why, and a last line `N passed, N
 * failed`. Under `CI=true` a test that did not run counts as failed, and so does a run in which no test passed.
 * `PGCONV_TEST_TALLY` names a file that gets the tally as JSON.
 */
export class TallyReporter implements Reporter {
  private root = process.cwd();
  private readonly strict: boolean;

  constructor(strict = process.env['CI'] === 'true') {
    this.strict = strict;
  }

  onInit(vitest: Vitest): void {
    this.root = vitest.config.root;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counted = tally(modules, unhandled, this.root);
    const failed = counted.failed + (this.strict ? counted.notRun.length : 0);
    if (failed > 0 || counted.passed === 0) process.exitCode = 1;
    const path = process.env['PGCONV_TEST_TALLY'];
    if (path) writeFileSync(path, `${JSON.stringify({ ...counted, failed })}\n`);
    // after the summary that vitest itself prints
    process.once('exit', () => process.stdout.write(closing({ ...counted, failed }, this.strict)));
  }
}

/** Files that do not load, setups that throw and errors outside of tests count as failures. */
export function tally(modules: readonly TestModule[], unhandled: readonly SerializedError[], root: string): Tally {
  let passed = 0;
  const failures = unhandled.map((error) => ({ test: 'outside of tests', reason: firstLine(error) }));
  const notRun: Named[] = [];
  for (const module of modules) {
    const file = fileOf(module, root);
    const suites = [...module.children.allSuites()].map((suite) => ({ name: `: ${suite.fullName}`, part: suite }));
    const broken = [{ name: '', part: module }, ...suites].flatMap(({ name, part }) =>
      part.errors().map((error) => ({ test: `${file}${name}`, reason: firstLine(error) })),
    );
    failures.push(...broken);
    for (const each of module.children.allTests()) {
      const test = `${file}: ${each.fullName}`;
      const result = each.result();
      if (result.state === 'passed') passed++;
      else if (result.state === 'failed') failures.push({ test, reason: firstLine(result.errors[0]) });
      else
        notRun.push({ test, reason: (result.state === 'skipped' && result.note) || reasonOf(each, broken.length > 0) });
    }
  }
  return { passed, failed: failures.length, failures, notRun };
}

function fileOf(module: TestModule, root: string): string {
  return module.moduleId.startsWith(`${root}/`) ? module.moduleId.slice(root.length + 1) : module.moduleId;
}

function firstLine(error: SerializedError | undefined): string {
  return error?.message.split('\n')[0] ?? 'no error is known';
}

function reasonOf(test: TestCase, broken: boolean): string {
  if (test.options.mode === 'todo') return 'it is marked todo';
  if (broken) return 'its setup failed';
  return test.options.mode === 'skip' ? 'it is marked skip' : 'the run ended before it, or another test is marked only';
}

function closing({ passed, failed, failures, notRun }: Tally, strict: boolean): string {
  const absent = listed(`Not run${strict ? ' (counted as failed, since CI=true)' : ''}`, notRun);
  return `${absent}${listed('Failed', failures)}${passed} passed, ${failed} failed\n`;
}

function listed(heading: string, named: readonly Named[]): string {
  if (named.length === 0) return '';
  return `\n${heading}: ${named.length}\n${named.map(({ test, reason }) => `  ${test}\n    ${reason}`).join('\n')}\n\n`;
}

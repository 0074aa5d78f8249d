import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestCase, TestModule, Vitest } from 'vitest/node';

/** What happened to the tests of one run. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Tests that did not run, each with its reason. */
  readonly notRun: readonly { readonly test: string; readonly reason: string }[];
}

/**
 * Closes the output of `npm test` with the tests that did not run and why, and a last line `N passed, N failed`. Under
 * `CI=true` a test that did not run counts as failed, and so does a run in which no test passed. `PGCONV_TEST_TALLY`
 * names a file that gets the tally as JSON.
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
    const counted = tally(modules, unhandled.length, this.root);
    const failed = counted.failed + (this.strict ? counted.notRun.length : 0);
    if (failed > 0 || counted.passed === 0) process.exitCode = 1;
    const path = process.env['PGCONV_TEST_TALLY'];
    if (path) writeFileSync(path, `${JSON.stringify({ ...counted, failed })}\n`);
    // after the summary that vitest itself prints
    process.once('exit', () => process.stdout.write(closing({ ...counted, failed }, this.strict)));
  }
}

/** Files that do not load and errors outside of tests count as failures. */
export function tally(modules: readonly TestModule[], unhandledErrors: number, root: string): Tally {
  let passed = 0;
  let failed = unhandledErrors;
  const notRun: { test: string; reason: string }[] = [];
  for (const module of modules) {
    const broken =
      module.errors().length + [...module.children.allSuites()].reduce((sum, suite) => sum + suite.errors().length, 0);
    failed += broken;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === 'passed') passed++;
      else if (result.state === 'failed') failed++;
      else
        notRun.push({
          test: nameOf(test, module, root),
          reason: (result.state === 'skipped' && result.note) || reasonOf(test, broken > 0),
        });
    }
  }
  return { passed, failed, notRun };
}

function nameOf(test: TestCase, module: TestModule, root: string): string {
  const file = module.moduleId.startsWith(`${root}/`) ? module.moduleId.slice(root.length + 1) : module.moduleId;
  return `${file}: ${test.fullName}`;
}

function reasonOf(test: TestCase, broken: boolean): string {
  if (test.options.mode === 'todo') return 'it is marked todo';
  if (broken) return 'its setup failed';
  return test.options.mode === 'skip' ? 'it is marked skip' : 'the run ended before it, or another test is marked only';
}

function closing({ passed, failed, notRun }: Tally, strict: boolean): string {
  const lines = notRun.map(({ test, reason }) => `  ${test}\n    ${reason}`);
  const heading = `\nNot run${strict ? ' (counted as failed, since CI=true)' : ''}: ${notRun.length}\n`;
  return `${notRun.length > 0 ? `${heading}${lines.join('\n')}\n\n` : ''}${passed} passed, ${failed} failed\n`;
}

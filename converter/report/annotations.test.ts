import { expect, it } from 'vitest';
import { errorAnnotation, reportAnnotations, type RunnerCommand } from './annotations.ts';
import { faultyReport, HOSTILE, hostileReport, soundReport } from './testing/reports.ts';

const linesOf = (commands: readonly RunnerCommand[]) => commands.map(({ line }) => line);

it('of a fault is one error that names the stage', () => {
  expect(linesOf(reportAnnotations('bundles/a:b,c', faultyReport))).toEqual([
    '::error title=pgconv%3A bundles/a%3Ab%2Cc::program failed: 0 of 2 comparisons of the bundle in its runtime with the reference; the first stage that differs is lm.2 (prefill)',
  ]);
});

it('of a bundle that passed is a notice', () => {
  expect(linesOf(reportAnnotations('x', soundReport))).toEqual([
    '::notice title=pgconv%3A x::verification passed: 1 of 1 checks held, in 8.5 s',
  ]);
});

it('of figures that are worse is an error', () => {
  const baseline = { passed: false, candidate: 'x', compared: 3, worse: [], better: [], missing: [] };
  expect(linesOf(reportAnnotations('x', { ...soundReport, passed: false, baseline }))).toEqual([
    '::error title=pgconv%3A x::of 3 figures 0 are worse than the baseline by more than their noise',
  ]);
});

it('of what stopped a command has its way out', () => {
  expect(errorAnnotation({ code: 'exists', message: '100 % full', hint: 'free some' }).line).toBe(
    '::error title=pgconv%3A exists::100 %25 full; try: free some',
  );
});

it('stays one line, whatever names are', () => {
  for (const line of linesOf(reportAnnotations(HOSTILE, hostileReport))) {
    expect(line).toMatch(/^::error title=pgconv%3A a\|b[^:]*::[^\n\r]*$/);
    expect(line.split('\n')).toHaveLength(1);
  }
});

import { expect, test } from 'vitest';
import type { Check } from './check.ts';
import { failedChecks, failureLines, noteLines } from './report_lines.ts';
import type { VerifyReport } from './verify.ts';

const LONG = 'two implementations in f32 differ by rounding, which adds up over layers as a random walk does';

const failed = (output: string): Check => ({
  case: 'three rows',
  output,
  passed: false,
  metrics: { maxAbs: 1, relativeL2: 0.1 },
  bounds: [
    { metric: 'maxAbs', value: 1, atMost: 1e-4, reason: LONG, passed: false },
    { metric: 'relativeL2', value: 0.1, atMost: 1e-5, reason: LONG, passed: false },
    { metric: 'sameTop1', value: 0.5, atLeast: 0.9, reason: 'as published', passed: false },
    { metric: 'cosine', value: 1, atLeast: 0.9, reason: 'held', passed: true },
  ],
});

const report = (checks: readonly Check[]): VerifyReport => ({
  passed: false,
  candidate: 'a runtime',
  precision: 'fp32',
  checks,
  greedyDifferences: [],
  seconds: 1,
});

test('why a limit stands is said once, below the limits that are missed', () => {
  const at: Check = { ...failed('suffix logits'), at: [0, 2], note: 'a tie' };
  expect(failureLines(report([failed('prefill logits'), at]))).toEqual([
    'failed: three rows, prefill logits: maxAbs is 1.0e+0, at most 1.0e-4 is allowed [1]',
    'failed: three rows, prefill logits: relativeL2 is 1.0e-1, at most 1.0e-5 is allowed [1]',
    'failed: three rows, prefill logits: sameTop1 is 50.00 %, at least 90.00 % is allowed [2]',
    'failed: three rows, suffix logits at [0, 2]: maxAbs is 1.0e+0, at most 1.0e-4 is allowed [1]',
    'failed: three rows, suffix logits at [0, 2]: relativeL2 is 1.0e-1, at most 1.0e-5 is allowed [1]',
    'failed: three rows, suffix logits at [0, 2]: sameTop1 is 50.00 %, at least 90.00 % is allowed [2]',
    'note: three rows, suffix logits at [0, 2]: a tie',
    `[1] ${LONG}`,
    '[2] as published',
  ]);
  expect(failureLines(report([]))).toEqual([]);
});

test('of many ties so many are told as anybody reads', () => {
  const tie = { case: 'a', row: 0, candidate: 1, reference: 2, lead: 1e-6, tie: true };
  const lines = noteLines({
    ...report([]),
    greedyDifferences: Array.from({ length: 25 }, (_, step) => ({ ...tie, step })),
    notes: ['of another kind'],
  });
  expect(lines).toHaveLength(22);
  expect(lines.slice(-2)).toEqual(['and 5 more ties: --json has all', 'note: of another kind']);
});

test('a figure and its limit are told apart, whatever digits that takes', () => {
  const check: Check = {
    ...failed('logits'),
    bounds: [
      { metric: 'sameTop1', value: 0.99948, atLeast: 0.9995, reason: 'a', passed: false },
      { metric: 'cosine', value: 1 - 4e-9, atLeast: 1 - 1e-9, reason: 'a', passed: false },
      { metric: 'relativeL2', value: 1.004e-2, atMost: 1e-2, reason: 'a', passed: false },
      { metric: 'maxAbs', value: 1e-9, atLeast: 1e-3, reason: 'a', passed: false },
      { metric: 'meanKld', value: NaN, atMost: 1e-2, reason: 'a', passed: false },
    ],
  };
  expect(failedChecks(report([check]))).toEqual([
    'three rows, logits: sameTop1 99.948 % (at least 99.950 %), 1 - cosine 4.0e-9 (at most 1.0e-9), relativeL2 1.004e-2 (at most 1.000e-2), maxAbs 1.0e-9 (at least 1.0e-3), meanKld NaN (at most 1.0e-2)',
  ]);
  expect(failureLines(report([check]))[0]).toContain('sameTop1 is 99.948 %, at least 99.950 % is allowed [1]');
});

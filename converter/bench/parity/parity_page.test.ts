import { expect, test } from 'vitest';
import type { Check } from '../../../verify/check.ts';
import type { Outcome } from './job.ts';
import { isSound, parityPage } from './parity_page.ts';

const check = (output: string, metrics: Check['metrics'], passed = true): Check => ({
  case: 'a case',
  output,
  passed,
  metrics,
  bounds: passed ? [] : [{ metric: 'relativeL2', atMost: 1e-5, reason: '', value: 0.25, passed }],
});
const outcome = (checks: readonly Check[], rest: Partial<Outcome> = {}): Outcome => ({
  fixture: 'tiny',
  backend: 'b',
  precision: 'int4',
  seconds: 2,
  report: {
    passed: checks.every(({ passed }) => passed),
    candidate: '',
    precision: 'int4',
    checks,
    greedyDifferences: [],
    seconds: 1,
  },
  ...rest,
});

const sound = outcome([
  check('image_features', { relativeL2: 1e-7 }),
  check('prefill logits', { relativeL2: 2e-7, maxAbs: 1e-6, meanKld: 1e-12 }),
  check('greedy logits', { relativeL2: 4e-7, maxAbs: 5e-7, meanKld: 3e-12 }),
  check('row 0 in the batch = alone', { relativeL2: 9e-7 }),
  check('greedy tokens', { sameTop1: 1 }),
  check('logits against the original', { meanKld: 0.05 }, false),
]);
const faulty = outcome([check('suffix logits', { relativeL2: 0.25 }, false)], { target: 't' });
const crashed: Outcome = { fixture: 'tiny', backend: 'c', precision: 'fp32', seconds: 0, error: 'a crash' };
const refused: Outcome = { fixture: 'tiny', backend: 'd', precision: 'fp32', seconds: 0, refused: 'not this model' };

test('what codes cost is no fault of a GPU; a difference, and a bundle without a verdict, is', () => {
  expect([sound, faulty, crashed, refused].map(isSound)).toEqual([true, false, false, true]);
});

test('the page names the device, has a row for each bundle that ran, and says what is wrong', () => {
  const page = parityPage({
    title: 'a day',
    seconds: 3.2,
    gpu: {
      vendor: 'maker',
      architecture: 'arch',
      device: 'model',
      description: 'driver 1.2',
      features: ['shader-f16'],
      software: false,
      language: [],
      limits: { maxBufferSize: 1, maxStorageBufferBindingSize: 2, maxComputeWorkgroupStorageSize: 3, other: 4 },
    },
    outcomes: [refused, crashed, faulty, sound],
  });
  const lines = page.split('\n');
  for (const text of [
    'maker, arch, model',
    'driver 1.2',
    'shader-f16',
    'a day, 3 s',
    '**1 of 3 bundles',
    'maxBufferSize 1',
  ])
    expect(page).toContain(text);
  expect(lines.filter((line) => line.startsWith('| tiny'))).toEqual([
    '| tiny b | int4 | 5 of 5 | 1.0e-7 | 4.0e-7 | 1.0e-6 | 3.0e-12 | 100.0 % | 5.0e-2 | 2.0 | ok |',
    '| tiny b t | int4 | 0 of 1 |  | 2.5e-1 |  |  |  |  | 2.0 | **FAILED** |',
    '| tiny c | fp32 |  |  |  |  |  |  |  | 0.0 | **FAILED** |',
  ]);
  expect(lines.slice(-4)).toEqual([
    'tiny b t int4: a case, suffix logits: relativeL2 0.25, limit 0.00001',
    '',
    'tiny c fp32: a crash',
    '',
  ]);
});

import { expect, test } from 'vitest';
import { InterruptedError } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { measureVariants } from './measure_variants.ts';
import type { QualityRun } from './quality_run.ts';
import type { RecordedReference } from './record_cases.ts';

/** A run of one bundle that is not there; a user stops it when it was asked so often whether one has. */
function runOf(asked: number): QualityRun {
  let left = asked;
  const signal = {
    get aborted() {
      return left <= 0;
    },
    throwIfAborted() {
      if (left-- <= 0) throw new InterruptedError();
    },
  } as AbortSignal;
  const variant = { label: 'x', backend: 'onnx', precision: 'fp32' };
  return {
    options: { variants: [], signal },
    given: [{ dir: '/none', variant }],
    reporter: silentReporter,
    temp: '/none',
  } as unknown as QualityRun;
}

test('what cannot be measured is told, and the next is tried', async () => {
  const { results, failures } = await measureVariants(runOf(Infinity), {} as RecordedReference);
  expect([results, failures]).toEqual([[], [expect.objectContaining({ label: 'x', message: expect.any(String) })]]);
});

test('what fails because it was stopped is no failure of a bundle', async () => {
  await expect(measureVariants(runOf(1), {} as RecordedReference)).rejects.toBeInstanceOf(InterruptedError);
});

import { expect, test } from 'vitest';
import { silentReporter, type Reporter } from './reporter.ts';
import { withSteps } from './steps.ts';

/** A reporter that writes down what it is told. */
function recorder(): { readonly log: unknown[]; readonly reporter: Reporter } {
  const log: unknown[] = [];
  const stage: Reporter['stage'] = (label, options) => {
    log.push([label, options]);
    return { advance: (amount) => log.push(amount), done: () => log.push('done') };
  };
  return { log, reporter: { ...silentReporter, stage } };
}

test('steps are told as they are done, and the end when the work ends', async () => {
  const { log, reporter } = recorder();
  const result = await withSteps(reporter, 'verify', async (onProgress) => {
    onProgress(0, 5);
    await new Promise((resolve) => setTimeout(resolve, 5));
    onProgress(2, 5);
    onProgress(5, 5);
    return 'result';
  });
  expect(result).toBe('result');
  expect(log).toEqual([['verify', { unit: 'steps', total: 5 }], 0, 2, 3, 'done']);
});

test('work that tells nothing is no stage, and work that fails is not done', async () => {
  const { log, reporter } = recorder();
  expect(await withSteps(reporter, 'x', async () => 1)).toBe(1);
  expect(log).toEqual([]);
  const failing = withSteps(reporter, 'x', async (onProgress) => {
    onProgress(1, 2);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(log).toEqual([['x', { unit: 'steps', total: 2 }], 1]);
});
